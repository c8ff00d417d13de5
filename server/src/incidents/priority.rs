//! Impact, urgency and the priority that follows from them. Pure.
//!
//! Words of the LPSE's register of disturbances: Dampak (Besar, Sedang, Kecil), Urgensi (Mendesak, Tidak Mendesak),
//! Prioritas (Tinggi, Menengah, Rendah). The register does not fix the matrix; the one here is Siaga's default.

/// How much of the service is hit. Ordered: the larger, the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Impact {
    /// Kecil.
    Small,
    /// Sedang.
    Medium,
    /// Besar.
    Large,
}

/// Whether it can wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// Tidak Mendesak.
    NotUrgent,
    /// Mendesak.
    Urgent,
}

/// What is handled first. Ordered: the larger, the sooner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Rendah.
    Low,
    /// Menengah.
    Medium,
    /// Tinggi.
    High,
}

/// The matrix of urgency and impact.
#[must_use]
pub const fn priority_of(impact: Impact, urgency: Urgency) -> Priority {
    match (urgency, impact) {
        (Urgency::Urgent, Impact::Large | Impact::Medium) => Priority::High,
        (Urgency::Urgent, Impact::Small) | (Urgency::NotUrgent, Impact::Large | Impact::Medium) => {
            Priority::Medium
        }
        (Urgency::NotUrgent, Impact::Small) => Priority::Low,
    }
}

/// Gives an enum its codes for records, API and rule files.
macro_rules! codes {
    ($name:ident { $($variant:ident => $code:literal),+ $(,)? }) => {
        impl $name {
            /// All values.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Code in records, in the API and in rule files.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            /// The value of a code.
            #[must_use]
            pub fn from_code(code: &str) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}
pub(crate) use codes;

codes!(Impact { Small => "small", Medium => "medium", Large => "large" });
codes!(Urgency { NotUrgent => "not_urgent", Urgent => "urgent" });
codes!(Priority { Low => "low", Medium => "medium", High => "high" });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priority_follows_from_impact_and_urgency() {
        for (urgency, impact, priority) in [
            (Urgency::Urgent, Impact::Large, Priority::High),
            (Urgency::Urgent, Impact::Medium, Priority::High),
            (Urgency::Urgent, Impact::Small, Priority::Medium),
            (Urgency::NotUrgent, Impact::Large, Priority::Medium),
            (Urgency::NotUrgent, Impact::Medium, Priority::Medium),
            (Urgency::NotUrgent, Impact::Small, Priority::Low),
        ] {
            assert_eq!(priority_of(impact, urgency), priority, "{urgency:?} {impact:?}");
        }
    }

    #[test]
    fn neither_more_impact_nor_more_urgency_ever_lowers_the_priority() {
        for &urgency in Urgency::ALL {
            for pair in Impact::ALL.windows(2) {
                assert!(priority_of(pair[0], urgency) <= priority_of(pair[1], urgency));
            }
        }
        for &impact in Impact::ALL {
            assert!(priority_of(impact, Urgency::NotUrgent) <= priority_of(impact, Urgency::Urgent));
        }
    }

    #[test]
    fn codes_read_back() {
        for &value in Priority::ALL {
            assert_eq!(Priority::from_code(value.code()), Some(value));
        }
        assert_eq!(Impact::from_code("huge"), None);
    }
}
