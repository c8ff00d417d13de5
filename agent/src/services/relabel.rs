//! Which samples of an exporter go on, and with which labels: Prometheus' `metric_relabel_configs`, the actions keep,
//! drop, replace, labeldrop and labelkeep.

use crate::config::services::{Relabel, RelabelAction};

/// Applies the rules in order; `false` if the sample is to be left out. `labels` hold `__name__`.
pub(super) fn apply(rules: &[Relabel], labels: &mut Vec<(String, String)>) -> bool {
    for rule in rules {
        let source = source(rule, labels);
        match rule.action {
            RelabelAction::Keep if !rule.regex.matches(&source) => return false,
            RelabelAction::Drop if rule.regex.matches(&source) => return false,
            RelabelAction::Keep | RelabelAction::Drop => {}
            RelabelAction::Labeldrop => labels.retain(|(name, _)| !rule.regex.matches(name)),
            RelabelAction::Labelkeep => {
                labels.retain(|(name, _)| name == "__name__" || rule.regex.matches(name));
            }
            RelabelAction::Replace => {
                if let Some(text) = rule.regex.expand(&source, &rule.replacement) {
                    labels.retain(|(name, _)| *name != rule.target_label);
                    if !text.is_empty() {
                        labels.push((rule.target_label.clone(), text));
                    }
                }
            }
        }
    }
    labels.iter().any(|(name, _)| name == "__name__")
}

fn source(rule: &Relabel, labels: &[(String, String)]) -> String {
    let value =
        |wanted: &String| labels.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value);
    rule.source_labels.iter().map(value).collect::<Vec<_>>().join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_act_as_in_prometheus() {
        let labels = [("__name__", "pg_up"), ("db", "spse"), ("host", "a:5432")];
        for (rule, expected) in [
            (
                "source_labels = ['__name__']\nregex = 'pg_.*'\naction = 'keep'",
                Some("__name__=pg_up,db=spse,host=a:5432"),
            ),
            ("source_labels = ['__name__']\nregex = 'pg'\naction = 'keep'", None),
            ("source_labels = ['db', 'host']\nregex = 'spse;a.*'\naction = 'drop'", None),
            (
                "source_labels = ['db']\nregex = 'x'\naction = 'drop'",
                Some("__name__=pg_up,db=spse,host=a:5432"),
            ),
            ("regex = 'ho.*'\naction = 'labeldrop'", Some("__name__=pg_up,db=spse")),
            ("regex = 'db'\naction = 'labelkeep'", Some("__name__=pg_up,db=spse")),
            (
                "source_labels = ['host']\nregex = '(.+):(\\d+)'\ntarget_label = 'port'\nreplacement = '$2'",
                Some("__name__=pg_up,db=spse,host=a:5432,port=5432"),
            ),
            ("source_labels = ['absent']\ntarget_label = 'db'", Some("__name__=pg_up,host=a:5432")),
        ] {
            let rules = vec![toml::from_str::<Relabel>(rule).unwrap()];
            let mut labels: Vec<_> = labels.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
            let kept = apply(&rules, &mut labels);
            labels.sort();
            let text: Vec<_> = labels.iter().map(|(a, b)| format!("{a}={b}")).collect();
            assert_eq!(kept.then(|| text.join(",")).as_deref(), expected, "{rule}");
        }
    }
}
