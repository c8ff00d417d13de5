//! What this host asks of NFS servers and answers as one, from `/proc/net/rpc/nfs` and `/proc/net/rpc/nfsd`:
//! `node_nfs_*`, `node_nfsd_*`.
//!
//! Requests are counted by method, in the order of the kernel's numbers; what newer kernels add behind is not told.

use super::{CollectError, Collector, number, value};
use crate::samples::{Kind, Output};
use crate::source::Source;

const VERSION_2: &str = "Null GetAttr SetAttr Root Lookup ReadLink Read WrCache Write Create Remove Rename Link SymLink \
                         MkDir RmDir ReadDir FsStat";
const VERSION_3: &str = "Null GetAttr SetAttr Lookup Access ReadLink Read Write Create MkDir SymLink MkNod Remove RmDir \
                         Rename Link ReadDir ReadDirPlus FsStat FsInfo PathConf Commit";
const CLIENT_4: &str = "Null Read Write Commit Open OpenConfirm OpenNoattr OpenDowngrade Close Setattr FsInfo Renew \
                        SetClientID SetClientIDConfirm Lock Lockt Locku Access Getattr Lookup LookupRoot Remove Rename \
                        Link Symlink Create Pathconf StatFs ReadLink ReadDir ServerCaps DelegReturn GetACL SetACL \
                        FsLocations ReleaseLockowner Secinfo FsidPresent ExchangeID CreateSession DestroySession \
                        Sequence GetLeaseTime ReclaimComplete LayoutGet GetDeviceInfo LayoutCommit LayoutReturn \
                        SecinfoNoName TestStateID FreeStateID GetDeviceList BindConnToSession DestroyClientID Seek \
                        Allocate DeAllocate LayoutStats Clone";
/// A dash stands for a number that means nothing.
const SERVER_4: &str = "- - - Access Close Commit Create DelegPurge DelegReturn GetAttr GetFH Link Lock Lockt Locku \
                        Lookup LookupRoot Nverify Open OpenAttr OpenConfirm OpenDgrd PutFH - - Read ReadDir ReadLink \
                        Remove Rename Renew RestoreFH SaveFH SecInfo SetAttr Verify Write RelLockOwner";

/// This host as a client.
pub(super) struct Nfs;
/// This host as a server.
pub(super) struct Nfsd;

const CLIENT: &str = "proc/net/rpc/nfs";
const SERVER: &str = "proc/net/rpc/nfsd";

impl Collector for Nfs {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        for line in source.read(CLIENT)?.lines() {
            let (word, figures) = figures(line);
            match word {
                "net" => {
                    tell_packets("node_nfs_packets_total", "protocol", &figures, out);
                    tell(&figures, 3, Kind::Counter, "node_nfs_connections_total", out);
                }
                "rpc" => {
                    tell(&figures, 0, Kind::Counter, "node_nfs_rpcs_total", out);
                    tell(&figures, 1, Kind::Counter, "node_nfs_rpc_retransmissions_total", out);
                    tell(&figures, 2, Kind::Counter, "node_nfs_rpc_authentication_refreshes_total", out);
                }
                "proc2" => tell_methods("node_nfs_requests_total", "2", VERSION_2, &figures, out),
                "proc3" => tell_methods("node_nfs_requests_total", "3", VERSION_3, &figures, out),
                "proc4" => tell_methods("node_nfs_requests_total", "4", CLIENT_4, &figures, out),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Collector for Nfsd {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        for line in source.read(SERVER)?.lines() {
            let (word, figures) = figures(line);
            let mut counter = |place, family| tell(&figures, place, Kind::Counter, family, out);
            match word {
                "rc" => {
                    counter(0, "node_nfsd_reply_cache_hits_total");
                    counter(1, "node_nfsd_reply_cache_misses_total");
                    counter(2, "node_nfsd_reply_cache_nocache_total");
                }
                "fh" => counter(0, "node_nfsd_file_handles_stale_total"),
                "io" => {
                    counter(0, "node_nfsd_disk_bytes_read_total");
                    counter(1, "node_nfsd_disk_bytes_written_total");
                }
                "th" => tell(&figures, 0, Kind::Gauge, "node_nfsd_server_threads", out),
                "ra" => {
                    counter(11, "node_nfsd_read_ahead_cache_not_found_total");
                    tell(&figures, 0, Kind::Gauge, "node_nfsd_read_ahead_cache_size_blocks", out);
                }
                "net" => {
                    counter(3, "node_nfsd_connections_total");
                    tell_packets("node_nfsd_packets_total", "proto", &figures, out);
                }
                "rpc" => {
                    counter(0, "node_nfsd_server_rpcs_total");
                    for (place, error) in [(2, "fmt"), (3, "auth"), (4, "cInt")] {
                        let count = figures.get(place).copied().unwrap_or_default();
                        out.counter("node_nfsd_rpc_errors_total", &[("error", error)], count);
                    }
                }
                // A server does not count what does nothing.
                "proc2" => tell_methods("node_nfsd_requests_total", "2", VERSION_2, &figures, out),
                "proc3" => tell_methods("node_nfsd_requests_total", "3", VERSION_3, &figures, out),
                "proc4ops" => tell_methods("node_nfsd_requests_total", "4", SERVER_4, &figures, out),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The first word of a line, and the numbers behind it.
fn figures(line: &str) -> (&str, Vec<f64>) {
    let mut words = line.split_ascii_whitespace();
    (words.next().unwrap_or_default(), words.map(|word| value(number(Some(word)))).collect())
}

fn tell(figures: &[f64], place: usize, kind: Kind, family: &str, out: &mut Output) {
    if let Some(figure) = figures.get(place) {
        out.record(kind, family, &[], *figure);
    }
}

fn tell_packets(family: &str, label: &str, figures: &[f64], out: &mut Output) {
    for (place, protocol) in [(1, "udp"), (2, "tcp")] {
        if let Some(count) = figures.get(place) {
            out.counter(family, &[(label, protocol)], *count);
        }
    }
}

/// Behind the number of methods stands how often each was asked for.
fn tell_methods(family: &str, version: &str, methods: &str, figures: &[f64], out: &mut Output) {
    let is_told = |method: &str| method != "-" && !(family.contains("nfsd") && method == "Null");
    for (method, count) in methods.split_ascii_whitespace().zip(figures.iter().skip(1)) {
        if is_told(method) {
            out.counter(family, &[("method", method), ("proto", version)], *count);
        }
    }
}
