//! What a host is made of, as its agent sees it. Never contains file contents, user names or secrets.

use serde::{Deserialize, Serialize};

/// One report of a host's inventory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Inventory {
    /// Host name.
    pub hostname: String,
    /// `/etc/machine-id`.
    pub machine_id: String,
    /// Operating system.
    pub os: Os,
    /// The machine itself.
    pub hardware: Hardware,
    /// Block devices.
    pub disks: Vec<Disk>,
    /// Mounted filesystems that hold data.
    pub filesystems: Vec<Filesystem>,
    /// Network interfaces.
    pub interfaces: Vec<Interface>,
    /// Installed packages, sorted by name.
    pub packages: Vec<Package>,
    /// Watched files, sorted by path; none where the agent does not tell, which says nothing of the files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<WatchedFile>>,
    /// What listens, sorted by port; none where the agent does not tell, which says nothing of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listeners: Option<Vec<Listener>>,
}

/// A TCP port on which a program of the host listens, and what it was recognised as.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Listener {
    /// Kind and port, for example `ssh-22`: what an order to watch it names.
    pub id: String,
    /// Port.
    pub port: u16,
    /// Addresses that it listens on, sorted; `0.0.0.0` and `::` are all of the host.
    pub addresses: Vec<String>,
    /// What it is, for example `postgresql`; `unknown` where it was not recognised.
    pub kind: String,
    /// Name of the program; empty where the agent may not see it.
    pub process: String,
    /// User that opened the port.
    pub user: String,
    /// What it says of itself, one line.
    pub banner: String,
    /// How the agent could watch it.
    pub proposal: Option<Proposal>,
    /// Whether it is watched, and by whose will.
    pub watched: Option<WatchedBy>,
}

/// How an agent could watch what it found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Proposal {
    /// Piece of the agent's configuration (TOML).
    pub config: String,
    /// Codes of what the host's people should see to, for example `postgres_role`.
    pub needs: Vec<String>,
    /// Whether the agent obeys an order to watch it.
    pub can_switch_on: bool,
}

/// By whose will something is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchedBy {
    /// The host's own file.
    Configuration,
    /// An order of the server.
    Console,
}

/// Operating system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Os {
    /// For example `Debian GNU/Linux`.
    pub name: String,
    /// For example `12`.
    pub version: String,
    /// Kernel release.
    pub kernel: String,
    /// For example `x86_64`.
    pub architecture: String,
}

/// The machine itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hardware {
    /// Maker, from DMI; empty where not readable.
    pub vendor: String,
    /// Product name, from DMI.
    pub product: String,
    /// Processor model.
    pub cpu_model: String,
    /// Logical processors.
    pub cpu_count: u32,
    /// Installed memory in bytes.
    pub memory_bytes: u64,
    /// Hypervisor or container technology; empty on bare metal.
    pub virtualization: String,
}

/// A block device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Disk {
    /// Kernel name, for example `sda`.
    pub name: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Model; empty where unknown.
    pub model: String,
    /// Whether it rotates.
    pub rotational: bool,
}

/// A mounted filesystem.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filesystem {
    /// Where it is mounted.
    pub mountpoint: String,
    /// Device it is on.
    pub device: String,
    /// Type, for example `ext4`.
    pub fstype: String,
    /// Size in bytes.
    pub size_bytes: u64,
}

/// A network interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Interface {
    /// Kernel name.
    pub name: String,
    /// Hardware address.
    pub mac: String,
    /// Addresses with prefix length, sorted.
    pub addresses: Vec<String>,
}

/// An installed package.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Package {
    /// Package name.
    pub name: String,
    /// Installed version.
    pub version: String,
}

/// A watched file, or a folder that cannot be looked into. Never its content.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct WatchedFile {
    /// Absolute path.
    pub path: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// When it was written last, milliseconds since the epoch.
    pub modified_ms: i64,
    /// SHA-256 of the content in hexadecimal, of a link that of its target's path; empty where it was not read.
    pub sha256: String,
    /// Permissions, octal, for example `0644`.
    pub mode: String,
    /// Owner and group, for example `root:root`.
    pub owner: String,
}
