//! Types and help of metrics, as senders state them. Kept in memory: senders repeat it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Families that are remembered at most; further ones are passed over.
const MAX_FAMILIES: usize = 20_000;
/// Longest name of a family, or of a unit, that is kept, bytes.
const MAX_NAME_BYTES: usize = 256;
/// Longest help text that is kept, bytes.
const MAX_HELP_BYTES: usize = 1_024;

/// Type and help of a metric family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricInfo {
    /// Type as Prometheus names it: `counter`, `gauge`, …
    pub kind: String,
    /// Help text.
    pub help: String,
    /// Unit; mostly empty.
    pub unit: String,
}

/// All families known.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    families: Arc<Mutex<BTreeMap<String, MetricInfo>>>,
}

impl Catalogue {
    /// Takes over what a sender says.
    pub fn note(&self, family: String, mut info: MetricInfo) {
        if family.is_empty() || family.len() > MAX_NAME_BYTES || info.unit.len() > MAX_NAME_BYTES {
            return;
        }
        if info.help.len() > MAX_HELP_BYTES {
            info.help.truncate(info.help.floor_char_boundary(MAX_HELP_BYTES));
        }
        let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        if families.len() < MAX_FAMILIES || families.contains_key(&family) {
            families.insert(family, info);
        }
    }

    /// Families by name, of one name only if given.
    #[must_use]
    pub fn list(&self, name: Option<&str>, limit: usize) -> Vec<(String, MetricInfo)> {
        let families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        families
            .iter()
            .filter(|(family, _)| name.is_none_or(|name| name == family.as_str()))
            .take(limit)
            .map(|(family, info)| (family.clone(), info.clone()))
            .collect()
    }
}
