//! What a port may be, by its program, its number and its user, and which question would confirm it. Pure.

use serde::{Deserialize, Serialize};

/// What listens on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// PostgreSQL.
    Postgresql,
    /// nginx.
    Nginx,
    /// Apache.
    Apache,
    /// Tomcat, Play and other programs of a Java virtual machine.
    Jvm,
    /// Redis.
    Redis,
    /// SSH.
    Ssh,
    /// A Prometheus exporter.
    Exporter,
    /// Something that speaks HTTP.
    Http,
    /// HTTP with TLS.
    Https,
    Amqp,
    Dns,
    Ftp,
    Imap,
    Ipp,
    Kafka,
    Ldap,
    Memcached,
    Mongodb,
    Mysql,
    Nfs,
    Oracle,
    Pop3,
    Rpcbind,
    Smb,
    Smtp,
    Telnet,
    /// None of these.
    #[default]
    Unknown,
}

impl Kind {
    /// Code in reports and identifiers.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Postgresql => "postgresql",
            Self::Nginx => "nginx",
            Self::Apache => "apache",
            Self::Jvm => "jvm",
            Self::Redis => "redis",
            Self::Ssh => "ssh",
            Self::Exporter => "exporter",
            Self::Http => "http",
            Self::Https => "https",
            Self::Amqp => "amqp",
            Self::Dns => "dns",
            Self::Ftp => "ftp",
            Self::Imap => "imap",
            Self::Ipp => "ipp",
            Self::Kafka => "kafka",
            Self::Ldap => "ldap",
            Self::Memcached => "memcached",
            Self::Mongodb => "mongodb",
            Self::Mysql => "mysql",
            Self::Nfs => "nfs",
            Self::Oracle => "oracle",
            Self::Pop3 => "pop3",
            Self::Rpcbind => "rpcbind",
            Self::Smb => "smb",
            Self::Smtp => "smtp",
            Self::Telnet => "telnet",
            Self::Unknown => "unknown",
        }
    }
}

/// A question that does no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// Wait for the line that an SSH server says first.
    Ssh,
    /// PostgreSQL's SSLRequest.
    Postgres,
    /// `PING` of Redis.
    Redis,
    /// `GET /metrics`, and pages of the server that answers.
    Http,
}

/// A supposition and how to confirm it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Guess {
    pub(super) kind: Kind,
    /// Whether the program itself says so, not only the port's number or user.
    pub(super) by_program: bool,
    /// None where asking might disturb: some servers count stray connections against their clients, or log each.
    pub(super) question: Option<Question>,
}

/// By number alone, never asked.
const NEVER_ASKED: [(u16, Kind); 26] = [
    (21, Kind::Ftp),
    (23, Kind::Telnet),
    (25, Kind::Smtp),
    (53, Kind::Dns),
    (110, Kind::Pop3),
    (111, Kind::Rpcbind),
    (139, Kind::Smb),
    (143, Kind::Imap),
    (389, Kind::Ldap),
    (443, Kind::Https),
    (445, Kind::Smb),
    (465, Kind::Smtp),
    (587, Kind::Smtp),
    (631, Kind::Ipp),
    (636, Kind::Ldap),
    (993, Kind::Imap),
    (995, Kind::Pop3),
    (1521, Kind::Oracle),
    (2049, Kind::Nfs),
    (3306, Kind::Mysql),
    (5672, Kind::Amqp),
    (8443, Kind::Https),
    (9092, Kind::Kafka),
    (9443, Kind::Https),
    (11_211, Kind::Memcached),
    (27_017, Kind::Mongodb),
];

/// Ports of web servers, of applications and of Prometheus' exporters.
fn is_http_port(port: u16) -> bool {
    matches!(port, 80 | 81 | 3_000 | 5_000 | 8_000..=8_999 | 9_000..=9_999)
}

/// What a port may be. `ask_unknown` has ports asked of which nothing is known.
pub(super) fn guess(port: u16, program: &str, user: &str, ask_unknown: bool) -> Guess {
    let program = program.split(' ').next().unwrap_or_default();
    let never = NEVER_ASKED.iter().find(|(number, _)| *number == port).map(|(_, kind)| *kind);
    let of_program = match program {
        "sshd" => Some((Kind::Ssh, Question::Ssh)),
        "postgres" | "postmaster" => Some((Kind::Postgresql, Question::Postgres)),
        "redis-server" | "valkey-server" => Some((Kind::Redis, Question::Redis)),
        "nginx" => Some((Kind::Nginx, Question::Http)),
        "apache2" | "httpd" => Some((Kind::Apache, Question::Http)),
        "java" => Some((Kind::Jvm, Question::Http)),
        _ => None,
    };
    if let Some((kind, question)) = of_program {
        return Guess { kind, by_program: true, question: Some(question).filter(|_| never.is_none()) };
    }
    if let Some(kind) = never {
        return Guess { kind, by_program: false, question: None };
    }
    let (kind, question) = match (port, user) {
        (22, _) => (Kind::Ssh, Some(Question::Ssh)),
        (5_432..=5_435, _) => (Kind::Postgresql, Some(Question::Postgres)),
        (6_379, _) => (Kind::Redis, Some(Question::Redis)),
        _ if is_http_port(port) => (Kind::Unknown, Some(Question::Http)),
        (_, "postgres") => (Kind::Postgresql, Some(Question::Postgres)),
        (_, "redis") => (Kind::Redis, Some(Question::Redis)),
        _ => (Kind::Unknown, Some(Question::Http).filter(|_| ask_unknown)),
    };
    Guess { kind, by_program: false, question }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_ports_and_users_lead_to_a_kind_and_a_question() {
        for (port, program, user, kind, question) in [
            (22, "", "root", Kind::Ssh, Some(Question::Ssh)),
            (2_222, "sshd", "root", Kind::Ssh, Some(Question::Ssh)),
            (5_433, "", "postgres", Kind::Postgresql, Some(Question::Postgres)),
            (9_187, "", "postgres", Kind::Unknown, Some(Question::Http)),
            (7_000, "java org.x.Main", "spse", Kind::Jvm, Some(Question::Http)),
            (80, "nginx", "root", Kind::Nginx, Some(Question::Http)),
            (443, "nginx", "root", Kind::Nginx, None),
            (443, "", "root", Kind::Https, None),
            (3_306, "", "mysql", Kind::Mysql, None),
            (25, "", "root", Kind::Smtp, None),
            (40_123, "", "root", Kind::Unknown, None),
        ] {
            let found = guess(port, program, user, false);
            assert_eq!((found.kind, found.question), (kind, question), "{port} {program} {user}");
        }
        assert_eq!(guess(40_123, "", "root", true).question, Some(Question::Http));
        assert_eq!(guess(3_306, "", "mysql", true).question, None);
    }

    #[test]
    fn codes_are_those_that_are_kept() {
        for kind in [Kind::Postgresql, Kind::Pop3, Kind::Unknown, Kind::Https] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.code());
        }
    }
}
