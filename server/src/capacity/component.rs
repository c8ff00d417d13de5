//! The register of capacity: what people enter about a measured component, and the components that people count
//! themselves, such as staff and links. Pure.

use serde::{Deserialize, Serialize};

use super::resource::ResourceKind;
use crate::time::Millis;

/// Longest text of a field, characters.
const MAX_TEXT: usize = 500;
/// Most components that people count.
pub(super) const MAX_COUNTED: usize = 200;

/// Categories of the SOP's record form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Server.
    Server,
    /// Personil.
    Personnel,
    /// Jaringan.
    Network,
}

impl Category {
    /// All of them, in the form's order.
    pub const ALL: [Self; 3] = [Self::Server, Self::Personnel, Self::Network];

    /// Code in records, in the API and in texts.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Personnel => "personnel",
            Self::Network => "network",
        }
    }

    /// The category of a code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.code() == code)
    }
}

/// Which component of the register.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct ComponentKey {
    /// Host of a measured one; empty for one that people count.
    #[serde(default)]
    pub instance: String,
    /// Kind of resource, or category.
    pub resource: String,
    /// Mount point, or name.
    #[serde(default)]
    pub item: String,
}

impl From<&super::ResourceKey> for ComponentKey {
    fn from(key: &super::ResourceKey) -> Self {
        Self { instance: key.instance.clone(), resource: key.kind.code().to_owned(), item: key.item.clone() }
    }
}

impl ComponentKey {
    /// Whether people count it.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.instance.is_empty()
    }
}

/// What people enter.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Component {
    /// Which.
    #[serde(flatten)]
    pub key: ComponentKey,
    /// Who answers for it.
    pub owner: String,
    /// What it has to reach, for example a response time.
    pub target: String,
    /// Further remarks; for a counted one the step that follows.
    pub note: String,
    /// Threshold in percent; without it that of the configuration holds.
    pub threshold_percent: Option<f64>,
    /// Counted ones: unit, for example people or Mbit/s.
    pub unit: String,
    /// Counted ones: what there is.
    pub capacity: Option<f64>,
    /// Counted ones: what is used of it.
    pub used: Option<f64>,
    /// Counted ones: use that is expected in the next period.
    pub expected: Option<f64>,
}

/// A component with when and by whom it was entered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entered {
    /// What was entered.
    #[serde(flatten)]
    pub component: Component,
    /// When.
    pub at_ms: Millis,
    /// By whom.
    pub by: String,
}

/// Why a component is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct ComponentError {
    /// Field.
    pub field: &'static str,
    /// Reason.
    pub reason: String,
}

impl Component {
    /// Use as a share of the capacity, percent.
    #[must_use]
    pub fn used_percent(&self) -> Option<f64> {
        Some(self.used? / self.capacity? * 100.0)
    }

    /// Expected use as a share of the capacity, percent.
    #[must_use]
    pub fn expected_percent(&self) -> Option<f64> {
        Some(self.expected? / self.capacity? * 100.0)
    }

    /// Whether it can be taken.
    ///
    /// # Errors
    /// The first field that is wrong, and why.
    pub fn check(&self) -> Result<(), ComponentError> {
        let wrong = |field, reason: &str| Err(ComponentError { field, reason: reason.to_owned() });
        let key = &self.key;
        if key.is_counted() {
            if Category::from_code(&key.resource).is_none() {
                return wrong("resource", "server, personnel or network is wanted where there is no host");
            }
            if key.item.trim().is_empty() {
                return wrong("item", "a component that people count needs a name");
            }
        } else if ResourceKind::from_code(&key.resource).is_none() {
            return wrong("resource", "filesystem, memory, cpu, inodes or quota is wanted for a host");
        }
        for (field, text) in [
            ("item", &key.item),
            ("owner", &self.owner),
            ("target", &self.target),
            ("note", &self.note),
            ("unit", &self.unit),
        ] {
            if text.chars().count() > MAX_TEXT {
                return wrong(field, "at most 500 characters are taken");
            }
        }
        if self.threshold_percent.is_some_and(|percent| !(1.0..=100.0).contains(&percent)) {
            return wrong("threshold_percent", "1 to 100 is wanted");
        }
        for (field, number) in [("used", self.used), ("expected", self.expected)] {
            if number.is_some_and(|n| !n.is_finite() || n < 0.0) {
                return wrong(field, "a number that is not negative is wanted");
            }
        }
        if self.capacity.is_some_and(|n| !n.is_finite() || n <= 0.0) {
            return wrong("capacity", "a number above zero is wanted");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(instance: &str, resource: &str, item: &str) -> Component {
        Component {
            key: ComponentKey {
                instance: instance.to_owned(),
                resource: resource.to_owned(),
                item: item.to_owned(),
            },
            ..Component::default()
        }
    }

    #[test]
    fn what_cannot_be_is_named_by_field() {
        let with = |change: fn(&mut Component)| {
            let mut one = component("", "personnel", "Helpdesk");
            change(&mut one);
            one
        };
        for (component, field) in [
            (component("web", "filesystem", "/"), None),
            (component("", "personnel", "Helpdesk"), None),
            (component("", "filesystem", "/"), Some("resource")),
            (component("web", "personnel", ""), Some("resource")),
            (component("", "network", " "), Some("item")),
            (with(|c| c.threshold_percent = Some(0.0)), Some("threshold_percent")),
            (with(|c| c.threshold_percent = Some(f64::NAN)), Some("threshold_percent")),
            (with(|c| c.capacity = Some(0.0)), Some("capacity")),
            (with(|c| c.used = Some(-1.0)), Some("used")),
            (with(|c| c.expected = Some(f64::INFINITY)), Some("expected")),
            (with(|c| c.note = "x".repeat(501)), Some("note")),
        ] {
            assert_eq!(component.check().err().map(|error| error.field), field, "{component:?}");
        }
    }

    #[test]
    fn shares_need_both_numbers() {
        let mut one = component("", "personnel", "Helpdesk");
        assert_eq!(one.used_percent(), None);
        (one.capacity, one.used) = (Some(4.0), Some(3.0));
        assert_eq!((one.used_percent(), one.expected_percent()), (Some(75.0), None));
    }
}
