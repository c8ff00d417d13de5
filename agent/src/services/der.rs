//! The one date that is read from a certificate (X.509, RFC 5280, section 4.1): when it runs out.

/// Unix seconds of `notAfter`; `None` if the bytes are not a certificate.
pub(super) fn not_after(certificate: &[u8]) -> Option<i64> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let (tag, mut outer) = take(&mut &*certificate)?;
    let (_, mut body) = take(&mut outer).filter(|_| tag == SEQUENCE)?;
    // Version, serial number, signature, issuer; the first may be missing.
    let (first, _) = take(&mut body)?;
    for _ in 0..if first == VERSION { 3 } else { 2 } {
        take(&mut body)?;
    }
    let (_, mut validity) = take(&mut body).filter(|(tag, _)| *tag == SEQUENCE)?;
    take(&mut validity)?;
    let (tag, text) = take(&mut validity)?;
    time(tag, std::str::from_utf8(text).ok()?)
}

/// Tag and content of the next value.
fn take<'a>(input: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&short, mut rest) = rest.split_first()?;
    let mut length = usize::from(short);
    if short >= 0x80 {
        let (bytes, behind) =
            rest.split_at_checked(usize::from(short & 0x7f)).filter(|(b, _)| b.len() <= 4)?;
        length = bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        rest = behind;
    }
    let (content, behind) = rest.split_at_checked(length)?;
    *input = behind;
    Some((tag, content))
}

/// `YYMMDDHHMMSSZ` (`UTCTime`) or `YYYYMMDDHHMMSSZ` (`GeneralizedTime`).
fn time(tag: u8, text: &str) -> Option<i64> {
    let digits = text.strip_suffix('Z').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
    let (year, rest) = match (tag, digits.len()) {
        (0x17, 12) => {
            let year: i64 = digits[..2].parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, &digits[2..])
        }
        (0x18, 14) => (digits[..4].parse().ok()?, &digits[4..]),
        _ => return None,
    };
    let part = |at: usize| rest[at..at + 2].parse::<i64>().ok();
    let days = days_from_1970(year, part(0).filter(|month| (1..=12).contains(month))?, part(2)?);
    Some(days * 86_400 + part(4)? * 3_600 + part(6)? * 60 + part(8)?)
}

/// Days since 1970-01-01 in the Gregorian calendar: years begin in March, so that the leap day is the last.
fn days_from_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_of_both_kinds_are_read() {
        for (tag, text, expected) in [
            (0x17, "700101000000Z", Some(0)),
            (0x17, "300101000000Z", Some(1_893_456_000)),
            (0x17, "240229123456Z", Some(1_709_210_096)),
            (0x18, "20991231235959Z", Some(4_102_444_799)),
            (0x18, "99991231235959Z", Some(253_402_300_799)),
            (0x17, "20991231235959Z", None),
            (0x17, "2402291234Z", None),
            (0x17, "24022912345xZ", None),
        ] {
            assert_eq!(time(tag, text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_date_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = not_after(&bytes);
        }
    }
}
