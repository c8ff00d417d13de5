//! Values of the configuration that check themselves while they are read.

use serde::{Deserialize, Deserializer, de};

/// A share between 0 and 100.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Percent(f64);

impl Percent {
    /// A percentage known at compile time.
    #[must_use]
    pub const fn of(whole: u8) -> Self {
        assert!(whole <= 100, "a percentage lies between 0 and 100");
        Self(whole as f64)
    }

    /// The number, 0 to 100.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        if (0.0..=100.0).contains(&number) {
            Ok(Self(number))
        } else {
            Err(de::Error::custom(format!("{number} is not between 0 and 100 percent")))
        }
    }
}

/// Languages of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// Bahasa Indonesia.
    Indonesian,
    /// English.
    English,
}

impl Language {
    /// Code as used in the catalogue of texts and in HTML.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Indonesian => "id",
            Self::English => "en",
        }
    }

    /// The language of a code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        match code {
            "id" => Some(Self::Indonesian),
            "en" => Some(Self::English),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Language {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::from_code(&code)
            .ok_or_else(|| de::Error::custom(format!("{code:?} is not one of \"id\", \"en\"")))
    }
}

/// An IANA time zone that exists.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeZoneName(jiff::tz::TimeZone);

impl TimeZoneName {
    /// The zone.
    #[must_use]
    pub fn zone(&self) -> &jiff::tz::TimeZone {
        &self.0
    }
}

impl Default for TimeZoneName {
    fn default() -> Self {
        // Without a zone database the fixed offset of Western Indonesia is still right: it has no summer time.
        Self(
            jiff::tz::TimeZone::get("Asia/Jakarta")
                .unwrap_or_else(|_| jiff::tz::TimeZone::fixed(jiff::tz::offset(7))),
        )
    }
}

impl<'de> Deserialize<'de> for TimeZoneName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        jiff::tz::TimeZone::get(&name)
            .map(Self)
            .map_err(|_| de::Error::custom(format!("{name:?} is not an IANA time zone")))
    }
}
