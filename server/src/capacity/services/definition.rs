//! What people enter about a service. Pure.

use serde::{Deserialize, Serialize};

use crate::capacity::resource::{ResourceKey, ResourceKind};
use crate::time::Millis;

/// Most services.
pub(super) const MAX_SERVICES: usize = 50;
/// Most measures of load of a service.
const MAX_LOADS: usize = 6;
/// Most components of a service.
const MAX_PARTS: usize = 60;
/// Longest name, characters.
const MAX_NAME: usize = 80;
/// Longest query, characters.
const MAX_QUERY: usize = 2_000;

/// A service.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Name.
    pub name: String,
    /// Who answers for it.
    #[serde(default)]
    pub owner: String,
    /// Measures of its load.
    pub loads: Vec<Load>,
    /// What it is made of.
    pub parts: Vec<Part>,
}

/// A measure of load: requests a second, users signed in, uploads, tenders that close.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Name.
    pub name: String,
    /// Unit.
    #[serde(default)]
    pub unit: String,
    /// PromQL whose sum it is. Empty: the number of tenders of the calendar that close in each hour.
    #[serde(default)]
    pub query: String,
}

/// A component: one that Siaga measures (`instance`, `resource`, `item`), or one of its own query.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Servers among which the load is shared, if it is one of them.
    #[serde(default)]
    pub pool: String,
    /// Host of a measured one.
    #[serde(default)]
    pub instance: String,
    /// Its kind of resource.
    #[serde(default)]
    pub resource: String,
    /// Its item: the mount point.
    #[serde(default)]
    pub item: String,
    /// Name of one with a query of its own.
    #[serde(default)]
    pub name: String,
    /// PromQL whose largest value is its use.
    #[serde(default)]
    pub query: String,
    /// Unit of the query.
    #[serde(default)]
    pub unit: String,
    /// What 100 percent is, in that unit.
    #[serde(default)]
    pub full: Option<f64>,
    /// Threshold, percent; that of the register or the configuration for a measured one.
    #[serde(default)]
    pub threshold_percent: Option<f64>,
}

/// A service with when and by whom it was entered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entered {
    /// The service.
    #[serde(flatten)]
    pub service: Service,
    /// When.
    pub at_ms: Millis,
    /// By whom.
    pub by: String,
}

impl Part {
    /// The measured resource, if it is one.
    #[must_use]
    pub fn key(&self) -> Option<ResourceKey> {
        let kind = ResourceKind::from_code(&self.resource)?;
        (!self.instance.is_empty()).then(|| ResourceKey {
            instance: self.instance.clone(),
            kind,
            item: self.item.clone(),
        })
    }

    /// What tells it from the other components of its service.
    #[must_use]
    pub fn id(&self) -> String {
        match self.key() {
            Some(key) => format!("{}/{}", key.instance, key.component()),
            None => self.name.clone(),
        }
    }
}

/// Why a service is not taken: the field, and why.
pub(super) type Flaw = (String, &'static str);

impl Service {
    /// Whether it can be taken. Queries are only looked at as texts.
    ///
    /// # Errors
    /// The first field that is wrong, and why.
    pub(super) fn check(&self) -> Result<(), Flaw> {
        let wrong = |field: String, why| Err((field, why));
        let named = |text: &str| !text.trim().is_empty() && text.chars().count() <= MAX_NAME;
        let plain = |text: &str| text.chars().count() <= MAX_NAME && !text.chars().any(char::is_control);
        if !named(&self.name) || !plain(&self.name) || self.name.contains('/') {
            return wrong("name".to_owned(), "a name of at most 80 characters without a slash is wanted");
        }
        if !plain(&self.owner) {
            return wrong("owner".to_owned(), "at most 80 characters are taken");
        }
        if self.loads.is_empty() || self.loads.len() > MAX_LOADS {
            return wrong("loads".to_owned(), "one to six measures of load are wanted");
        }
        if self.parts.is_empty() || self.parts.len() > MAX_PARTS {
            return wrong("parts".to_owned(), "one to sixty components are wanted");
        }
        for (at, load) in self.loads.iter().enumerate() {
            let field = |name: &str| format!("loads[{at}].{name}");
            if !named(&load.name) || !plain(&load.name) || !plain(&load.unit) {
                return wrong(field("name"), "a name of at most 80 characters is wanted");
            }
            if load.query.chars().count() > MAX_QUERY {
                return wrong(field("query"), "at most 2,000 characters are taken");
            }
            if self.loads[..at].iter().any(|other| other.name == load.name) {
                return wrong(field("name"), "each measure of load needs a name of its own");
            }
        }
        for (at, part) in self.parts.iter().enumerate() {
            let field = |name: &str| format!("parts[{at}].{name}");
            if !plain(&part.pool) || !plain(&part.unit) {
                return wrong(field("pool"), "at most 80 characters are taken");
            }
            if part.threshold_percent.is_some_and(|percent| !(1.0..=100.0).contains(&percent)) {
                return wrong(field("threshold_percent"), "1 to 100 is wanted");
            }
            if part.query.is_empty() {
                if part.key().is_none() {
                    return wrong(
                        field("resource"),
                        "a host and one of filesystem, inodes, memory, cpu, quota is wanted, or a query",
                    );
                }
            } else {
                if !named(&part.name) || !plain(&part.name) || part.name.contains('/') {
                    return wrong(field("name"), "a name of at most 80 characters without a slash is wanted");
                }
                if !part.instance.is_empty() || !part.resource.is_empty() {
                    return wrong(field("query"), "a component has either a host and a resource, or a query");
                }
                if part.query.chars().count() > MAX_QUERY {
                    return wrong(field("query"), "at most 2,000 characters are taken");
                }
                if !part.full.is_some_and(|full| full.is_finite() && full > 0.0) {
                    return wrong(field("full"), "a number above zero is wanted with a query");
                }
            }
            if self.parts[..at].iter().any(|other| other.id() == part.id()) {
                return wrong(field("name"), "the same component stands twice");
            }
        }
        Ok(())
    }

    /// Servers of a pool: the hosts of its components, and its components of their own queries.
    #[must_use]
    pub fn pool_size(&self, pool: &str) -> usize {
        let members = self.parts.iter().filter(|part| !pool.is_empty() && part.pool == pool);
        let names = members.map(|part| if part.instance.is_empty() { &part.name } else { &part.instance });
        names.collect::<std::collections::BTreeSet<_>>().len()
    }

    /// Names of its pools.
    #[must_use]
    pub fn pools(&self) -> Vec<&str> {
        let named = self.parts.iter().map(|part| part.pool.as_str()).filter(|pool| !pool.is_empty());
        named.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    }
}

/// Reads the two lists of the page's form: a line for each measure (`name | unit | PromQL`) and for each component
/// (`host | resource | item | pool`, or `= name | unit | full | threshold | pool | PromQL`).
///
/// # Errors
/// The number of the line of the components that is wrong.
pub(super) fn read_lines(loads: &str, parts: &str) -> Result<(Vec<Load>, Vec<Part>), usize> {
    let lines = |text: &str| -> Vec<(usize, String)> {
        (1..)
            .zip(text.lines().map(str::trim).map(str::to_owned))
            .filter(|(_, line)| !line.is_empty())
            .collect()
    };
    let cells = |line: &str, most: usize| -> Vec<String> {
        line.splitn(most, '|').map(|cell| cell.trim().to_owned()).collect()
    };
    let loads = lines(loads).into_iter().map(|(_, line)| {
        let mut cells = cells(&line, 3).into_iter();
        let mut next = || cells.next().unwrap_or_default();
        Load { name: next(), unit: next(), query: next() }
    });
    let mut read = Vec::new();
    for (number, line) in lines(parts) {
        let number_of = |text: &str| match text {
            "" => Ok(None),
            text => text.replace(',', ".").parse::<f64>().map(Some).map_err(|_| number),
        };
        read.push(match line.strip_prefix('=') {
            Some(line) => {
                let mut cells = cells(line, 6).into_iter();
                let mut next = || cells.next().unwrap_or_default();
                let (name, unit) = (next(), next());
                let (full, threshold_percent) = (number_of(&next())?, number_of(&next())?);
                let (pool, query) = (next(), next());
                if query.is_empty() {
                    return Err(number);
                }
                Part { name, unit, full, threshold_percent, pool, query, ..Part::default() }
            }
            None => {
                let mut cells = cells(&line, 4).into_iter();
                let mut next = || cells.next().unwrap_or_default();
                Part { instance: next(), resource: next(), item: next(), pool: next(), ..Part::default() }
            }
        });
    }
    Ok((loads.collect(), read))
}

/// The lists of a service as the form has them.
pub(super) fn write_lines(service: &Service) -> (String, String) {
    let load = |load: &Load| format!("{} | {} | {}", load.name, load.unit, load.query);
    let part = |part: &Part| {
        if part.query.is_empty() {
            return format!("{} | {} | {} | {}", part.instance, part.resource, part.item, part.pool);
        }
        let number = |n: Option<f64>| n.map_or_else(String::new, |n| n.to_string());
        let (full, threshold) = (number(part.full), number(part.threshold_percent));
        format!("= {} | {} | {full} | {threshold} | {} | {}", part.name, part.unit, part.pool, part.query)
    };
    let joined = |lines: Vec<String>| lines.join("\n");
    (joined(service.loads.iter().map(load).collect()), joined(service.parts.iter().map(part).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> Service {
        let (loads, parts) = read_lines(
            "Permintaan | /s | sum(rate(nginx_http_requests_total{job=~\"a|b\"}[5m]))\nTender ditutup\n",
            "app-01 | cpu || app\napp-02 | cpu | | app\ndb-01 | filesystem | /data\n\
             = Koneksi | koneksi | 200 | 85 | | pg_stat_activity_count\n",
        )
        .unwrap();
        Service { name: "SPSE".to_owned(), loads, parts, ..Service::default() }
    }

    #[test]
    fn lines_of_the_form_read_back_as_they_were_written() {
        let service = service();
        service.check().unwrap();
        assert_eq!(service.loads[0].query, "sum(rate(nginx_http_requests_total{job=~\"a|b\"}[5m]))");
        assert_eq!(service.parts[3].full, Some(200.0));
        assert_eq!((service.pools(), service.pool_size("app")), (vec!["app"], 2));
        let (loads, parts) = write_lines(&service);
        let (loads, parts) = read_lines(&loads, &parts).unwrap();
        assert_eq!((loads, parts), (service.loads, service.parts));
        assert_eq!(read_lines("", "a|cpu\n= x | | viel | | | up").unwrap_err(), 2);
    }

    #[test]
    fn what_cannot_be_is_named_by_field() {
        for (change, field) in [
            ((|s| s.name = "a/b".to_owned()) as fn(&mut Service), "name"),
            (|s| s.loads.clear(), "loads"),
            (|s| s.parts.clear(), "parts"),
            (|s| s.loads[1].name = "Permintaan".to_owned(), "loads[1].name"),
            (|s| s.parts[0].resource = "gpu".to_owned(), "parts[0].resource"),
            (|s| s.parts[1].instance = "app-01".to_owned(), "parts[1].name"),
            (|s| s.parts[3].full = Some(0.0), "parts[3].full"),
            (|s| s.parts[3].full = Some(f64::NAN), "parts[3].full"),
            (|s| s.parts[3].threshold_percent = Some(0.0), "parts[3].threshold_percent"),
            (|s| s.parts[3].resource = "cpu".to_owned(), "parts[3].query"),
        ] {
            let mut one = service();
            change(&mut one);
            assert_eq!(one.check().unwrap_err().0, field);
        }
    }
}
