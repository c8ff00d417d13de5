//! Names of series and labels: what is a name at all, and which names only the server writes. Pure.
//!
//! Any text is a name, as in Prometheus since version 3, but for what nobody sees or types: control characters, and
//! blanks at either end.

use siaga_protocol::metric_names;

use crate::rules::{ALERTS, ALERTS_FOR_STATE};

/// Start of the names of everything that is Siaga's own.
const OWN_PREFIX: &str = "siaga_";
/// Starts of those that agents write: of themselves, of log files that they follow, of exporters that they ask.
const AGENT_PREFIXES: [&str; 3] = ["siaga_agent_", "siaga_log_", "siaga_scrape_"];
/// Longest part of a refused name that is told, in characters.
const MAX_TOLD: usize = 100;

/// Why a name is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no name of a series or label: control characters and blanks at its ends are not taken")]
pub struct NameError {
    /// The name, shortened.
    pub name: String,
}

/// Whether the metric's name and all label names of a series are names.
pub(super) fn check(labels: &[(&str, &str)]) -> Result<(), NameError> {
    for &(name, value) in labels {
        let names = [Some(name), Some(value).filter(|_| name == "__name__")];
        if let Some(wrong) = names.into_iter().flatten().find(|name| !is_name(name)) {
            return Err(NameError { name: wrong.chars().take(MAX_TOLD).collect() });
        }
    }
    Ok(())
}

fn is_name(text: &str) -> bool {
    // Nearly all are plain; this is asked for every label of every request.
    text.bytes().all(|byte| byte.is_ascii_graphic())
        || (!text.chars().any(char::is_control) && text.trim() == text)
}

/// Whether series of this name are made by the server alone: presence, alerts, forecasts, its own state.
pub(super) fn is_of_server(name: &str) -> bool {
    [metric_names::UP, ALERTS, ALERTS_FOR_STATE].contains(&name)
        || (name.starts_with(OWN_PREFIX) && !AGENT_PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_any_text_without_control_characters_and_blanks_around() {
        for name in ["node_load1", "suhu ruang.°C", "été", "a:b"] {
            assert_eq!(check(&[("__name__", name), (name, "any\nvalue ")]), Ok(()), "{name:?}");
        }
        for name in [" up", "up ", "u\np", "\u{7f}up", "\u{85}", "up\u{a0}", "nul\0"] {
            let error = NameError { name: name.to_owned() };
            assert_eq!(check(&[("__name__", name)]), Err(error.clone()), "{name:?}");
            assert_eq!(check(&[("__name__", "m"), (name, "x")]), Err(error), "{name:?}");
        }
        assert_eq!(check(&[("__name__", " ".repeat(200).as_str())]).unwrap_err().name.len(), MAX_TOLD);
    }

    #[test]
    fn what_the_server_tells_of_itself_is_its_own_and_what_agents_tell_is_theirs() {
        for name in [
            "up",
            "ALERTS",
            "ALERTS_FOR_STATE",
            metric_names::FORECAST_DAYS,
            "siaga_server_build_info",
            "siaga_incidents_open",
            "siaga_build_info",
            "siaga_http_requests_total",
            "siaga_agents",
        ] {
            assert!(is_of_server(name), "{name}");
        }
        for name in
            [metric_names::AGENT_BUILD_INFO, "siaga_log_lines_total", "siaga_scrape_up", "upper", "siagax"]
        {
            assert!(!is_of_server(name), "{name}");
        }
    }
}
