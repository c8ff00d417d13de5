//! Which files and folders are watched for changes.

use serde::Deserialize;

use super::{Number, Pattern};

/// Most patterns of paths.
pub const MAX_PATHS: usize = 64;

/// What is watched by default: the settings of SPSE (a Play application in the home of its user), PostgreSQL, web server,
/// cron, sudoers, sshd. What a host does not have costs nothing.
const DEFAULT_PATHS: [&str; 20] = [
    "/home/appserver/*/conf",
    "/etc/postgresql",
    "/var/lib/pgsql/data/postgresql.conf",
    "/var/lib/pgsql/data/pg_hba.conf",
    "/etc/nginx",
    "/etc/apache2",
    "/etc/httpd/conf",
    "/etc/httpd/conf.d",
    "/etc/haproxy",
    "/etc/tomcat*",
    "/etc/crontab",
    "/etc/cron.d",
    "/etc/cron.hourly",
    "/etc/cron.daily",
    "/etc/cron.weekly",
    "/etc/cron.monthly",
    "/var/spool/cron",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/ssh/sshd_config*",
];

/// What is watched.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WatchedFiles {
    /// Files and folders; folders with all that is in them. None switches it off.
    #[serde(deserialize_with = "bounded")]
    pub paths: Vec<PathPattern>,
    /// Paths that are left out.
    pub exclude: Pattern,
    /// Larger files are told without a hash.
    pub max_hash_bytes: Number<0, { 1 << 30 }, { 16 << 20 }>,
}

impl Default for WatchedFiles {
    fn default() -> Self {
        Self {
            paths: DEFAULT_PATHS.iter().map(|path| PathPattern((*path).to_owned())).collect(),
            exclude: Pattern::constant(r"(~|\.sw[a-z]|\.tmp|\.dpkg-(new|tmp)|/\.#[^/]*|/4913)$"),
            max_hash_bytes: Number::default(),
        }
    }
}

fn bounded<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<PathPattern>, D::Error> {
    let paths = Vec::deserialize(deserializer)?;
    if paths.len() > MAX_PATHS {
        return Err(serde::de::Error::custom(format!("at most {MAX_PATHS} paths are allowed")));
    }
    Ok(paths)
}

/// An absolute path, in which `*`, `?` and `[...]` stand for other characters than `/`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PathPattern(String);

impl PathPattern {
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PathPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if !text.starts_with('/') || text.contains("**") || text.split('/').any(|part| part == "..") {
            return Err(format!("{text:?} is no absolute path without ** and .."));
        }
        glob::Pattern::new(&text).map_err(|error| format!("{text:?} is no pattern: {}", error.msg))?;
        Ok(Self(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bounded_absolute_patterns_are_taken() {
        for path in DEFAULT_PATHS {
            PathPattern::try_from(path.to_owned()).unwrap();
        }
        for path in ["etc", "", "/etc/**", "/etc/../home", "/etc/[a"] {
            assert!(PathPattern::try_from(path.to_owned()).is_err(), "{path}");
        }
        let exclude = WatchedFiles::default().exclude;
        for (path, out) in
            [("/etc/a~", true), ("/etc/.a.swp", true), ("/etc/.#a", true), ("/etc/a.conf", false)]
        {
            assert_eq!(exclude.matches(path), out, "{path}");
        }
        let many = format!("paths = [{}]", "\"/a\",".repeat(MAX_PATHS + 1));
        assert!(toml::from_str::<WatchedFiles>(&many).is_err());
    }
}
