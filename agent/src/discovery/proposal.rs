//! How something that was found would be watched: a piece of the agent's own configuration. What the console shows, what
//! an administrator copies and what an order switches on are the same text. Pure, but for one look for a socket.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::recognise::Kind;
use crate::config::Config;
use crate::config::services::{ProbeKind, Services};

/// Folder of PostgreSQL's sockets, as distributions have it.
const POSTGRES_SOCKETS: &str = "run/postgresql";
/// Role that is proposed for PostgreSQL: also the name of the account that the agent usually has, which lets it in through
/// the socket without a password.
const POSTGRES_ROLE: &str = "siaga-agent";

/// Something on this host's loopback that can be watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Target {
    pub(super) kind: Kind,
    pub(super) port: u16,
    pub(super) address: IpAddr,
    /// Path of its page of figures; empty if it has none.
    pub(super) page: String,
    /// Status of its first page; 0 where it is not asked over HTTP.
    pub(super) status: u16,
}

impl Target {
    /// What it is called in orders, in the configuration and in labels.
    pub(super) fn id(&self) -> String {
        id(self.kind, self.port)
    }

    /// The piece of configuration that watches it.
    pub(super) fn config(&self, root: &Path) -> String {
        let (id, address) = (self.id(), SocketAddr::new(self.address, self.port));
        match self.kind {
            Kind::Exporter => {
                format!("[[services.scrapes]]\nname = \"{id}\"\nurl = \"http://{address}{}\"\n", self.page)
            }
            Kind::Nginx | Kind::Apache if !self.page.is_empty() => format!(
                "[[services.web_servers]]\nname = \"{id}\"\nkind = \"{}\"\nurl = \"http://{address}{}\"\n",
                self.kind.code(),
                self.page
            ),
            Kind::Postgresql => format!(
                "[[services.postgres]]\nname = \"{id}\"\nhost = \"{}\"\nport = {}\nuser = \"{POSTGRES_ROLE}\"\n",
                if self.has_socket(root) { format!("/{POSTGRES_SOCKETS}") } else { self.address.to_string() },
                self.port
            ),
            _ if self.status != 0 => {
                let statuses = match self.status {
                    // What was broken when it was found is not to stay so.
                    200..300 | 500.. => String::new(),
                    // An answer that is usual here, for example a redirect or a question for a name.
                    status => format!("valid_statuses = [{status}]\n"),
                };
                format!(
                    "[[services.probes]]\nname = \"{id}\"\nkind = \"http\"\ntarget = \"http://{address}/\"\n{statuses}"
                )
            }
            _ => format!("[[services.probes]]\nname = \"{id}\"\nkind = \"tcp\"\ntarget = \"{address}\"\n"),
        }
    }

    /// What the host's people should see to, so that there is more to watch.
    pub(super) fn needs(&self, root: &Path) -> Vec<String> {
        let needs: &[&str] = match self.kind {
            Kind::Postgresql if self.has_socket(root) => &["postgres_role"],
            Kind::Postgresql => &["postgres_role", "postgres_password"],
            Kind::Nginx | Kind::Apache if self.page.is_empty() && self.status == 0 => &["https_name"],
            Kind::Nginx if self.page.is_empty() => &["nginx_status"],
            Kind::Apache if self.page.is_empty() => &["apache_status"],
            Kind::Jvm => &["jvm_exporter"],
            Kind::Redis => &["redis_exporter"],
            Kind::Https => &["https_name"],
            _ => &[],
        };
        needs.iter().map(|need| (*need).to_owned()).collect()
    }

    fn has_socket(&self, root: &Path) -> bool {
        root.join(POSTGRES_SOCKETS).join(format!(".s.PGSQL.{}", self.port)).exists()
    }
}

/// Identifier of what listens on a port.
pub(super) fn id(kind: Kind, port: u16) -> String {
    format!("{}-{port}", kind.code())
}

/// Whether a kind can be watched without harm.
pub(super) fn can_be_watched(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Postgresql
            | Kind::Nginx
            | Kind::Apache
            | Kind::Jvm
            | Kind::Redis
            | Kind::Ssh
            | Kind::Exporter
            | Kind::Http
            | Kind::Https
    )
}

/// Where this host itself reaches a port; `None` if only others do.
pub(super) fn loopback(addresses: &BTreeSet<IpAddr>) -> Option<IpAddr> {
    let own = addresses.iter().find_map(|address| match address {
        address if address.is_unspecified() => Some(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V4(four) if four.is_loopback() => Some(*address),
        _ => None,
    });
    own.or_else(|| addresses.iter().copied().find(|address| *address == Ipv6Addr::LOCALHOST))
}

/// Ports of this host that a configuration watches.
pub(super) fn watched_ports(services: &Services, hostname: &str) -> BTreeSet<u16> {
    let is_own = |host: &str| {
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        host == "localhost" || host == hostname || address.is_ok_and(|address| address.is_loopback())
    };
    let of_url = |url: &str| {
        let url = reqwest::Url::parse(url).ok()?;
        url.host_str().is_some_and(is_own).then(|| url.port_or_known_default()).flatten()
    };
    let of_target = |target: &str| {
        let (host, port) = target.rsplit_once(':')?;
        is_own(host).then(|| port.parse().ok()).flatten()
    };
    let scrapes = services.scrapes.iter().filter_map(|scrape| of_url(scrape.url.as_str()));
    let web_servers = services.web_servers.iter().filter_map(|server| of_url(server.url.as_str()));
    let probes = services.probes.iter().filter_map(|probe| match probe.kind {
        ProbeKind::Http => of_url(&probe.target),
        ProbeKind::Tcp => of_target(&probe.target),
        ProbeKind::Dns | ProbeKind::Icmp => None,
    });
    let is_here = |host: &str| host.starts_with('/') || is_own(host);
    let databases = services.postgres.iter().filter(|server| is_here(&server.host)).map(|server| server.port);
    scrapes.chain(web_servers).chain(probes).chain(databases).collect()
}

/// The services of such pieces of configuration.
pub(super) fn services(text: &str) -> Services {
    match Config::parse(text, Path::new("discovery")) {
        Ok(config) => config.services,
        Err(error) => {
            tracing::error!(error = crate::error_chain(&error), "what was switched on cannot be watched");
            Services::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(kind: Kind, page: &str, status: u16) -> Target {
        let address = Ipv4Addr::LOCALHOST.into();
        Target { kind, port: 8080, address, page: page.into(), status }
    }

    #[test]
    fn every_proposal_is_a_configuration_that_watches_its_port() {
        let root = tempfile::tempdir().unwrap();
        for (kind, page, status, expected) in [
            (Kind::Exporter, "/metrics", 0, "url = \"http://127.0.0.1:8080/metrics\""),
            (Kind::Nginx, "/stub_status", 0, "kind = \"nginx\""),
            (Kind::Nginx, "", 200, "target = \"http://127.0.0.1:8080/\""),
            (Kind::Apache, "/server-status", 0, "kind = \"apache\""),
            (Kind::Jvm, "", 302, "valid_statuses = [302]"),
            (Kind::Postgresql, "", 0, "host = \"127.0.0.1\"\nport = 8080"),
            (Kind::Redis, "", 0, "kind = \"tcp\""),
            (Kind::Ssh, "", 0, "target = \"127.0.0.1:8080\""),
            (Kind::Https, "", 0, "kind = \"tcp\""),
            (Kind::Http, "", 401, "valid_statuses = [401]"),
        ] {
            let target = target(kind, page, status);
            let text = target.config(root.path());
            assert!(text.contains(expected), "{text}");
            assert!(text.contains(&format!("name = \"{}-8080\"", kind.code())), "{text}");
            let services = services(&text);
            assert_eq!(watched_ports(&services, "web"), [8080].into(), "{text}");
            assert!(can_be_watched(kind));
        }
        let sockets = root.path().join(POSTGRES_SOCKETS);
        std::fs::create_dir_all(&sockets).unwrap();
        std::fs::write(sockets.join(".s.PGSQL.8080"), "").unwrap();
        let postgres = target(Kind::Postgresql, "", 0);
        assert!(postgres.config(root.path()).contains("host = \"/run/postgresql\""));
        assert_eq!(postgres.needs(root.path()), ["postgres_role"]);
    }

    #[test]
    fn only_the_loopback_of_this_host_is_ever_proposed() {
        for (addresses, expected) in [
            (&["0.0.0.0"][..], Some("127.0.0.1")),
            (&["::"], Some("127.0.0.1")),
            (&["10.0.0.5", "127.0.0.53"], Some("127.0.0.53")),
            (&["::1"], Some("::1")),
            (&["10.0.0.5", "fe80::1"], None),
        ] {
            let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
            assert_eq!(loopback(&addresses).map(|found| found.to_string()).as_deref(), expected);
        }
    }
}
