//! Numbers, sizes and times as people of the chosen language write them.

use jiff::Timestamp;

use super::Page;
use crate::config::Language;
use crate::time::{DAY_MS, HOUR_MS, Millis, SECOND_MS};

const MINUTE_MS: Millis = 60 * SECOND_MS;

impl Page {
    /// A number with fixed decimals: `1.234,5` in Indonesian, `1,234.5` in English.
    #[must_use]
    pub fn number(&self, value: f64, decimals: usize) -> String {
        if !value.is_finite() {
            return "–".to_owned();
        }
        let (group, point) = match self.language() {
            Language::Indonesian => ('.', ','),
            Language::English => (',', '.'),
        };
        let text = format!("{:.decimals$}", value.abs());
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let mut out = String::new();
        if value < 0.0 && text.chars().any(|c| c.is_ascii_digit() && c != '0') {
            out.push('-');
        }
        for (index, digit) in whole.chars().enumerate() {
            if index > 0 && (whole.len() - index).is_multiple_of(3) {
                out.push(group);
            }
            out.push(digit);
        }
        if !fraction.is_empty() {
            out.push(point);
            out.push_str(fraction);
        }
        out
    }

    /// A percentage, `value` from 0 to 100.
    #[must_use]
    pub fn percent(&self, value: f64) -> String {
        format!("{}%", self.number(value, 1))
    }

    /// A size in bytes with a binary unit.
    #[must_use]
    pub fn bytes(&self, value: f64) -> String {
        let (scaled, unit) = scale_bytes(value);
        format!("{} {unit}", self.number(scaled, usize::from(unit != "B")))
    }

    /// A size in bytes with a binary unit, with a decimal only where one is needed.
    #[must_use]
    pub fn bytes_round(&self, value: f64) -> String {
        let (scaled, unit) = scale_bytes(value);
        format!("{} {unit}", self.number(scaled, usize::from(scaled.fract() != 0.0)))
    }

    /// Hour and minute: `14.00`.
    #[must_use]
    pub fn clock(&self, at_ms: Millis) -> String {
        let Ok(at) = Timestamp::from_millisecond(at_ms) else { return "–".to_owned() };
        let at = at.to_zoned(self.zone().clone());
        let point = if self.language() == Language::Indonesian { '.' } else { ':' };
        format!("{:02}{point}{:02}", at.hour(), at.minute())
    }

    /// Day and short month: `24 Nov`.
    #[must_use]
    pub fn day_short(&self, at_ms: Millis) -> String {
        let Ok(at) = Timestamp::from_millisecond(at_ms) else { return "–".to_owned() };
        let at = at.to_zoned(self.zone().clone());
        format!("{} {}", at.day(), self.month_name_short(at.month()))
    }

    /// Short month and year: `Nov 2026`.
    #[must_use]
    pub fn month_short(&self, at_ms: Millis) -> String {
        let Ok(at) = Timestamp::from_millisecond(at_ms) else { return "–".to_owned() };
        let at = at.to_zoned(self.zone().clone());
        format!("{} {}", self.month_name_short(at.month()), at.year())
    }

    /// Month and year: `November 2026`.
    #[must_use]
    pub fn month(&self, at_ms: Millis) -> String {
        let Ok(at) = Timestamp::from_millisecond(at_ms) else { return "–".to_owned() };
        let at = at.to_zoned(self.zone().clone());
        format!("{} {}", self.t(&format!("month.{}", at.month())), at.year())
    }

    /// Short month: `Nov`.
    #[must_use]
    pub fn month_alone(&self, at_ms: Millis) -> String {
        let Ok(at) = Timestamp::from_millisecond(at_ms) else { return "–".to_owned() };
        self.month_name_short(at.to_zoned(self.zone().clone()).month())
    }

    /// Year in the zone of the viewer; 0 for a time beyond all calendars.
    #[must_use]
    pub fn year(&self, at_ms: Millis) -> i16 {
        Timestamp::from_millisecond(at_ms).map_or(0, |at| at.to_zoned(self.zone().clone()).year())
    }

    /// Date and time for lists: `24 Nov 2026 14.00`; the zone is said on the page of the thing itself.
    #[must_use]
    pub fn datetime_short(&self, at_ms: Millis) -> String {
        format!("{} {}", self.date_short(at_ms), self.clock(at_ms))
    }

    /// Months of both languages are told apart by three letters.
    fn month_name_short(&self, month: i8) -> String {
        self.t(&format!("month.{month}")).chars().take(3).collect()
    }

    /// Date and time with zone: `24 November 2026 pukul 14.00 WIB`.
    #[must_use]
    pub fn datetime(&self, at_ms: Millis) -> String {
        let Ok(at) = Timestamp::from_millisecond(at_ms) else { return "–".to_owned() };
        let at = at.to_zoned(self.zone().clone());
        let date = self.date(at_ms);
        let zone = zone_name(&at);
        match self.language() {
            Language::Indonesian => format!("{date} pukul {:02}.{:02} {zone}", at.hour(), at.minute()),
            Language::English => format!("{date} {:02}:{:02} {zone}", at.hour(), at.minute()),
        }
    }

    /// Date and time to the second, for evidence.
    #[must_use]
    pub fn datetime_seconds(&self, at_ms: Millis) -> String {
        let Ok(at) = Timestamp::from_millisecond(at_ms) else { return "–".to_owned() };
        let at = at.to_zoned(self.zone().clone());
        let ms = at_ms.rem_euclid(SECOND_MS);
        let (h, m, s, zone) = (at.hour(), at.minute(), at.second(), zone_name(&at));
        match self.language() {
            Language::Indonesian => format!("{} pukul {h:02}.{m:02}.{s:02},{ms:03} {zone}", self.date(at_ms)),
            Language::English => format!("{} {h:02}:{m:02}:{s:02}.{ms:03} {zone}", self.date(at_ms)),
        }
    }

    /// A date with the short name of its month: `3 Des 2026`.
    #[must_use]
    pub fn date_short(&self, at_ms: Millis) -> String {
        let Ok(at) = Timestamp::from_millisecond(at_ms) else { return "–".to_owned() };
        format!("{} {}", self.day_short(at_ms), at.to_zoned(self.zone().clone()).year())
    }

    /// A date: `24 November 2026`.
    #[must_use]
    pub fn date(&self, at_ms: Millis) -> String {
        let Ok(at) = Timestamp::from_millisecond(at_ms) else { return "–".to_owned() };
        let at = at.to_zoned(self.zone().clone());
        format!("{} {} {}", at.day(), self.t(&format!("month.{}", at.month())), at.year())
    }

    /// A length of time in its largest fitting unit: `3 menit`.
    #[must_use]
    pub fn duration(&self, length_ms: Millis) -> String {
        let (count, key) = match length_ms.max(0) {
            length if length < SECOND_MS => (length, "unit.milliseconds"),
            length if length < MINUTE_MS => (length / SECOND_MS, "unit.seconds"),
            length if length < HOUR_MS => (length / MINUTE_MS, "unit.minutes"),
            length if length < DAY_MS => (length / HOUR_MS, "unit.hours"),
            length => (length / DAY_MS, "unit.days"),
        };
        self.tv(key, &[("n", &count.to_string())])
    }

    /// A length of time in its two largest units: `1 hari 2 jam`, `75 detik` as `1 menit 15 detik`.
    #[must_use]
    pub fn duration_exact(&self, length_ms: Millis) -> String {
        const UNITS: [Millis; 4] = [DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS];
        let largest = UNITS.into_iter().position(|unit| length_ms >= unit).unwrap_or(UNITS.len() - 1);
        let unit = UNITS[largest];
        let first = self.duration(length_ms);
        match UNITS.get(largest + 1) {
            Some(&smaller) if length_ms % unit >= smaller => {
                format!("{first} {}", self.duration((length_ms % unit) / smaller * smaller))
            }
            _ => first,
        }
    }

    /// How long ago: `3 menit yang lalu`.
    #[must_use]
    pub fn ago(&self, at_ms: Millis, now_ms: Millis) -> String {
        if now_ms - at_ms < SECOND_MS {
            return self.t("time.just_now");
        }
        self.tv("time.ago", &[("duration", &self.duration(now_ms - at_ms))])
    }
}

/// A size and its largest binary unit that is not below one.
fn scale_bytes(value: f64) -> (f64, &'static str) {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut scaled = value;
    let mut unit = 0;
    while scaled.abs() >= 1024.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    (scaled, UNITS[unit])
}

/// WIB, WITA and WIT by their offset; other zones by their own abbreviation.
fn zone_name(at: &jiff::Zoned) -> String {
    let named = at.time_zone().iana_name().unwrap_or("");
    match (named, at.offset().seconds()) {
        ("Asia/Jakarta" | "Asia/Pontianak" | "", 25_200) => "WIB".to_owned(),
        ("Asia/Makassar", 28_800) => "WITA".to_owned(),
        ("Asia/Jayapura", 32_400) => "WIT".to_owned(),
        _ => at.strftime("%Z").to_string(),
    }
}

impl Page {
    /// A sentence in pieces, with those that a machine said marked: they stand in quotation marks in the catalogue, and
    /// are in no language of the reader.
    #[must_use]
    pub fn pieces<'a>(&self, text: &'a str) -> Vec<(&'a str, bool)> {
        let mut found = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('“') {
            let Some((quoted, after)) = after.split_once('”') else { break };
            found.extend([(before, false), (quoted, true)]);
            rest = after;
        }
        found.push((rest, false));
        found.retain(|(piece, _)| !piece.is_empty());
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TimeZoneName;

    fn page(language: Language) -> Page {
        Page::detached(language, "LPSE", TimeZoneName::default(), false)
    }

    #[test]
    fn numbers_follow_the_language() {
        let (id, en) = (page(Language::Indonesian), page(Language::English));
        assert_eq!(id.number(1_234_567.891, 1), "1.234.567,9");
        assert_eq!(en.number(-1_234.5, 2), "-1,234.50");
        assert_eq!(id.number(-0.001, 1), "0,0");
        assert_eq!(id.number(f64::NAN, 1), "–");
        assert_eq!(id.bytes(1_536.0), "1,5 KiB");
        assert_eq!(en.bytes(999.0), "999 B");
        assert_eq!(id.percent(98.54), "98,5%");
        assert_eq!(id.bytes_round(2_147_483_648.0), "2 GiB");
    }

    #[test]
    fn times_bear_their_zone() {
        let at = 1_795_503_600_000; // 2026-11-24 07:00 UTC
        assert_eq!(page(Language::Indonesian).datetime(at), "24 November 2026 pukul 14.00 WIB");
        assert_eq!(page(Language::English).datetime(at), "24 November 2026 14:00 WIB");
        assert_eq!(page(Language::Indonesian).clock(at), "14.00");
        assert_eq!(page(Language::English).day_short(at), "24 Nov");
        assert_eq!(page(Language::Indonesian).month_short(at), "Nov 2026");
        assert_eq!(page(Language::Indonesian).duration(125_000), "2 menit");
    }

    #[test]
    fn a_length_is_told_in_its_two_largest_units() {
        for (ms, told) in [
            (95_400_000, "1 hari 2 jam"),
            (86_400_000, "1 hari"),
            (86_460_000, "1 hari"),
            (75_900, "1 menit 15 detik"),
            (3_600_999, "1 jam"),
            (9_000, "9 detik"),
            (30, "30 milidetik"),
        ] {
            assert_eq!(page(Language::Indonesian).duration_exact(ms), told, "{ms}");
        }
    }

    #[test]
    fn what_a_machine_said_is_told_apart_from_the_sentence_around_it() {
        let page = page(Language::Indonesian);
        assert_eq!(
            page.pieces("langkah A: pesan agen: “no such action”; ulangi"),
            [("langkah A: pesan agen: ", false), ("no such action", true), ("; ulangi", false)]
        );
        assert_eq!(page.pieces("tanpa “akhir"), [("tanpa “akhir", false)]);
        assert!(page.pieces("").is_empty());
    }
}
