//! Noise that depends on nothing but its arguments, so that any moment can be computed on its own.

/// A step of the generator SplitMix64 (Steele, Lea, Flood 2014): every bit of the input moves every bit of the output.
#[must_use]
pub fn mix(value: u64) -> u64 {
    let a = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let b = (a ^ (a >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let c = (b ^ (b >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    c ^ (c >> 31)
}

/// A number for a text, for seeds by name.
#[must_use]
pub fn hash(seed: u64, text: &str) -> u64 {
    text.bytes().fold(mix(seed), |state, byte| mix(state ^ u64::from(byte)))
}

/// A number in `0..1` for a place.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "53 bits are a double's precision")]
pub fn unit(seed: u64, place: i64) -> f64 {
    let bits = mix(seed ^ mix(place.cast_unsigned())) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

/// A curve in `-1..1` through a random knot every `knot` units, without corners.
#[must_use]
pub fn smooth(seed: u64, at: i64, knot: i64) -> f64 {
    let (place, rest) = (at.div_euclid(knot), at.rem_euclid(knot));
    let t = as_f64(rest) / as_f64(knot);
    let eased = t * t * (3.0 - 2.0 * t);
    let (a, b) = (unit(seed, place), unit(seed, place + 1));
    2.0 * (a + (b - a) * eased) - 1.0
}

/// Times and counts of the model stay far below 2^53.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of this age and counts of the model are below 2^53"
)]
pub(crate) fn as_f64(value: i64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn noise_stays_in_its_bounds(seed: u64, at in -1_000_000_i64..1_000_000, knot in 1_i64..500) {
            prop_assert!((0.0..1.0).contains(&unit(seed, at)));
            prop_assert!((-1.0..1.0).contains(&smooth(seed, at, knot)));
        }
    }

    #[test]
    fn seeds_and_places_give_different_numbers() {
        assert!((unit(1, 1) - unit(2, 1)).abs() > 1e-9);
        assert!((unit(1, 1) - unit(1, 2)).abs() > 1e-9);
        assert_ne!(hash(1, "web-01"), hash(1, "web-02"));
    }
}
