//! How the agent looks for services of its host.

use serde::Deserialize;

use super::Seconds;

/// The search for what listens on the host.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Discovery {
    /// Whether the agent looks at all.
    pub enabled: bool,
    /// Time between two looks.
    pub interval_seconds: Seconds<1, 86_400, 120>,
    /// Whether ports that neither their number nor their program makes known are asked too (HTTP).
    pub ask_unknown_ports: bool,
    /// Whether the server may order to watch what was found.
    pub switch_on_from_console: bool,
}

impl Default for Discovery {
    fn default() -> Self {
        Self {
            enabled: true,
            interval_seconds: Seconds::default(),
            ask_unknown_ports: false,
            switch_on_from_console: true,
        }
    }
}

impl Discovery {
    /// Whether orders of the server to watch something are obeyed.
    #[must_use]
    pub fn obeys(&self) -> bool {
        self.enabled && self.switch_on_from_console
    }
}
