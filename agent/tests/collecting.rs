//! The collectors on a made-up host, and on this one.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a test program")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use siaga_agent::collectors::{self, CollectorName, Runner};
use siaga_agent::config::{Collect, Config, FilesystemFilter};
use siaga_agent::counters::Counters;
use siaga_agent::inventory;
use siaga_agent::samples::Recorder;
use siaga_agent::state;
use siaga_protocol::exposition::{Line, TimeUnit, parse_line};

fn host() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/host")
}

/// Sample lines without their values, with the values; and families with their types.
type Collected = (BTreeMap<String, f64>, BTreeMap<String, String>);

fn read(recorder: &Recorder) -> Collected {
    let (mut samples, mut types) = Collected::default();
    for line in recorder.to_text().lines() {
        match parse_line(line, TimeUnit::Milliseconds).unwrap() {
            Line::Sample(sample) => {
                let key = line.rsplit_once(' ').unwrap().0.to_owned();
                assert!(samples.insert(key, sample.value).is_none(), "twice: {line}");
            }
            Line::Type { name, kind } => assert!(types.insert(name, kind).is_none(), "twice: {line}"),
            Line::Help { text, .. } => assert!(!text.is_empty()),
            other => panic!("{other:?}"),
        }
    }
    (samples, types)
}

fn runner(config: &Collect, root: &Path) -> Runner {
    collectors::runner(config, root, &Arc::new(Counters::default()), &Arc::default())
}

async fn collect(root: &Path) -> Collected {
    let mut recorder = Recorder::default();
    runner(&Collect::default(), root).collect(&mut recorder).await;
    read(&recorder)
}

#[tokio::test]
async fn a_made_up_host_gives_exactly_its_figures() {
    let (samples, types) = collect(&host()).await;
    for (series, value) in [
        ("node_cpu_seconds_total{cpu=\"0\",mode=\"user\"}", 10.0),
        ("node_cpu_seconds_total{cpu=\"1\",mode=\"steal\"}", 0.05),
        ("node_cpu_guest_seconds_total{cpu=\"1\",mode=\"nice\"}", 0.03),
        ("node_boot_time_seconds", 1_764_000_000.0),
        ("node_context_switches_total", 456_789.0),
        ("node_forks_total", 3_210.0),
        ("node_intr_total", 987_654.0),
        ("node_procs_running", 3.0),
        ("node_procs_blocked", 1.0),
        ("node_memory_MemAvailable_bytes", 5_000_000.0 * 1024.0),
        ("node_memory_Active_anon_bytes", 123_456.0 * 1024.0),
        ("node_memory_SwapTotal_bytes", 2_000_000.0 * 1024.0),
        ("node_memory_HugePages_Total", 4.0),
        ("node_vmstat_pgmajfault", 66.0),
        ("node_vmstat_oom_kill", 1.0),
        ("node_load1", 0.52),
        ("node_load15", 2.1),
        ("node_disk_reads_completed_total{device=\"sda\"}", 100.0),
        ("node_disk_read_bytes_total{device=\"sda\"}", 2048.0 * 512.0),
        ("node_disk_read_time_seconds_total{device=\"sda\"}", 1.5),
        ("node_disk_written_bytes_total{device=\"sda\"}", 4096.0 * 512.0),
        ("node_disk_io_now{device=\"sda\"}", 2.0),
        ("node_disk_io_time_seconds_total{device=\"sda\"}", 3.0),
        ("node_disk_io_time_weighted_seconds_total{device=\"sda\"}", 4.0),
        ("node_disk_flush_requests_time_seconds_total{device=\"sda\"}", 0.012),
        ("node_disk_io_time_weighted_seconds_total{device=\"dm-0\"}", 0.04),
        ("node_network_receive_bytes_total{device=\"eth0\"}", 1_234_567.0),
        ("node_network_receive_multicast_total{device=\"eth0\"}", 6.0),
        ("node_network_transmit_bytes_total{device=\"eth0\"}", 7_654_321.0),
        ("node_network_transmit_compressed_total{device=\"eth0\"}", 12.0),
        ("node_filefd_allocated", 1_024.0),
        ("node_filefd_maximum", 92_233.0),
        ("node_processes_pids", 3.0),
        ("node_processes_threads", 40.0),
        ("node_processes_state{state=\"Z\"}", 1.0),
        ("node_processes_state{state=\"R\"}", 0.0),
        ("node_processes_max_processes", 32_768.0),
        (
            "node_os_info{id=\"contoh\",id_like=\"debian\",name=\"Contoh Linux\",pretty_name=\"Contoh Linux 12 (uji)\",version=\"12.5 (uji)\",version_id=\"12.5\"}",
            1.0,
        ),
        ("node_os_version{id=\"contoh\",id_like=\"debian\",name=\"Contoh Linux\"}", 12.5),
        (
            "node_filesystem_readonly{device=\"server:/arsip\",fstype=\"nfs4\",mountpoint=\"/mnt/arsip kita\"}",
            1.0,
        ),
        (
            "node_filesystem_device_error{device=\"server:/arsip\",fstype=\"nfs4\",mountpoint=\"/mnt/arsip kita\"}",
            0.0,
        ),
        ("node_arp_entries{device=\"eth0\"}", 2.0),
        ("node_nf_conntrack_entries", 321.0),
        ("node_nf_conntrack_stat_drop", 17.0),
        ("node_entropy_available_bits", 256.0),
        ("node_network_up{device=\"eth0\"}", 1.0),
        ("node_network_speed_bytes{device=\"eth0\"}", 125_000_000.0),
        ("node_network_flags{device=\"eth0\"}", 4_099.0),
        (
            "node_network_info{address=\"02:00:00:00:00:01\",broadcast=\"ff:ff:ff:ff:ff:ff\",device=\"eth0\",duplex=\"full\",operstate=\"up\"}",
            1.0,
        ),
        ("node_network_receive_nohandler_total{device=\"eth0\"}", 9.0),
        ("node_disk_info{device=\"sda\",major=\"8\",minor=\"0\",model=\"Contoh_SSD\",serial=\"S1\"}", 1.0),
        ("node_netstat_TcpExt_ListenOverflows", 4.0),
        ("node_netstat_Tcp_RetransSegs", 304.0),
        ("node_netstat_Udp6_InDatagrams", 11.0),
        ("node_pressure_cpu_waiting_seconds_total", 5.5),
        ("node_pressure_io_stalled_seconds_total", 1.25),
        ("node_selinux_enabled", 0.0),
        ("node_sockstat_TCP_inuse", 4.0),
        ("node_sockstat_UDP6_inuse", 3.0),
        ("node_softnet_dropped_total{cpu=\"0\"}", 26.0),
        ("node_udp_queues{ip=\"v4\",queue=\"rx\"}", 768.0),
        ("node_time_zone_offset_seconds{time_zone=\"UTC\"}", 0.0),
        ("node_time_clocksource_current_info{clocksource=\"tsc\",device=\"0\"}", 1.0),
        ("node_textfile_scrape_error", 0.0),
        // Mounted according to the table, but not there.
        (
            "node_filesystem_device_error{device=\"server:/hilang\",fstype=\"nfs4\",mountpoint=\"/mnt/hilang\"}",
            1.0,
        ),
    ] {
        assert_eq!(samples.get(series), Some(&value), "{series}");
    }
    for absent in [
        "device=\"sda1\"",
        "loop0",
        "docker",
        "softirq 5",
        "node_vmstat_nr_free_pages",
        "node_netstat_TcpExt_TW",
        "node_disk_flush_requests_total{device=\"dm-0\"}",
    ] {
        assert!(!samples.keys().any(|series| series.contains(absent)), "{absent}");
    }
    assert!(!samples.contains_key(
        "node_filesystem_size_bytes{device=\"server:/hilang\",fstype=\"nfs4\",mountpoint=\"/mnt/hilang\"}"
    ));
    for (family, kind) in [
        ("node_cpu_seconds_total", "counter"),
        ("node_memory_MemFree_bytes", "gauge"),
        ("node_disk_io_now", "gauge"),
        ("node_vmstat_pgfault", "untyped"),
        ("siaga_agent_cpu_seconds_total", "counter"),
    ] {
        assert_eq!(types.get(family).map(String::as_str), Some(kind), "{family}");
    }
    // The state of the clock is asked of the kernel itself, which containers may forbid.
    for collector in CollectorName::ALL.into_iter().filter(|name| *name != CollectorName::Timex) {
        let series = format!("node_scrape_collector_success{{collector=\"{}\"}}", collector.as_str());
        assert_eq!(samples.get(&series), Some(&1.0), "{series}");
    }
}

#[tokio::test]
async fn a_collector_that_fails_costs_only_its_own_series() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("proc")).unwrap();
    std::fs::write(dir.path().join("proc/loadavg"), "1.5 2 3 1/2 3\n").unwrap();
    std::fs::write(dir.path().join("proc/meminfo"), b"\xff\xfe garbage").unwrap();
    let (samples, _) = collect(dir.path()).await;
    assert_eq!(samples["node_load1"], 1.5);
    for (collector, success) in [("loadavg", 1.0), ("meminfo", 0.0), ("cpu", 0.0), ("filesystem", 0.0)] {
        let series = format!("node_scrape_collector_success{{collector=\"{collector}\"}}");
        assert_eq!(samples[&series], success, "{collector}");
    }
}

#[tokio::test]
async fn a_counter_of_the_kernel_that_runs_back_a_little_does_not_run_back_here() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("proc")).unwrap();
    let mut runner = runner(&Collect::default(), dir.path());
    let mut recorder = Recorder::default();
    for (idle, expected) in [(1_000, 10.0), (990, 10.0), (1_010, 10.1), (5, 0.05)] {
        std::fs::write(dir.path().join("proc/stat"), format!("cpu3 1 1 1 {idle} 1 1 1 1 1 1\n")).unwrap();
        runner.collect(&mut recorder).await;
        assert_eq!(read(&recorder).0["node_cpu_seconds_total{cpu=\"3\",mode=\"idle\"}"], expected);
    }
}

#[tokio::test]
async fn switched_off_collectors_are_silent() {
    let config =
        Config::parse("[collect]\ndisabled_collectors = [\"cpu\", \"own\"]", Path::new("x")).unwrap();
    let mut recorder = Recorder::default();
    runner(&config.collect, &host()).collect(&mut recorder).await;
    let (samples, _) = read(&recorder);
    assert!(!samples.keys().any(|series| series.starts_with("node_cpu_") || series.contains("siaga_agent")));
}

#[tokio::test]
async fn figures_of_this_machine_are_those_that_the_kernel_shows() {
    let (samples, _) = collect(Path::new("/")).await;
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap();
    let total: f64 = meminfo.split_ascii_whitespace().nth(1).unwrap().parse().unwrap();
    assert_eq!(samples["node_memory_MemTotal_bytes"], total * 1024.0);
    let root = rustix::fs::statvfs("/").unwrap();
    let size = samples.iter().find(|(series, _)| {
        series.starts_with("node_filesystem_size_bytes") && series.contains("mountpoint=\"/\"")
    });
    if let Some((_, size)) = size {
        assert_eq!(*size, (root.f_blocks * root.f_frsize) as f64);
    }
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    let since_boot = samples["node_time_seconds"] - samples["node_boot_time_seconds"];
    assert!((since_boot - uptime).abs() < 5.0, "{since_boot} {uptime}");
    let cpus = std::thread::available_parallelism().unwrap().get();
    let idle = samples.keys().filter(|series| series.contains("mode=\"idle\"")).count();
    assert!(idle >= cpus, "{idle} {cpus}");
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let processes =
        processes.filter(|e| e.file_name().to_string_lossy().parse::<u32>().is_ok()).count() as f64;
    assert!((samples["node_processes_pids"] - processes).abs() < 50.0);
    assert!(samples["siaga_agent_resident_memory_bytes"] > 500_000.0);
    for name in [
        "cpu",
        "stat",
        "meminfo",
        "vmstat",
        "loadavg",
        "netdev",
        "filefd",
        "processes",
        "time",
        "uname",
        "own",
    ] {
        assert_eq!(samples[&format!("node_scrape_collector_success{{collector=\"{name}\"}}")], 1.0, "{name}");
    }
}

#[test]
fn the_inventory_of_a_made_up_host_is_complete() {
    let machine_id = state::machine_id(&host(), Path::new("/nonexistent")).unwrap();
    let inventory = inventory::assemble(&host(), &machine_id, &FilesystemFilter::default());
    assert_eq!(inventory.machine_id, "0123456789abcdef0123456789abcdef");
    assert_eq!((inventory.os.name.as_str(), inventory.os.version.as_str()), ("Contoh Linux", "12.5"));
    let hardware = &inventory.hardware;
    assert_eq!((hardware.vendor.as_str(), hardware.virtualization.as_str()), ("QEMU", "qemu"));
    assert_eq!(hardware.memory_bytes, 8_000_000 * 1024);
    let disks: Vec<_> =
        inventory.disks.iter().map(|d| (d.name.as_str(), d.size_bytes, d.model.as_str())).collect();
    assert_eq!(disks, [("sda", 1 << 30, "Contoh SSD")]);
    let mounts: Vec<_> = inventory.filesystems.iter().map(|f| f.mountpoint.as_str()).collect();
    assert_eq!(mounts, ["/", "/mnt/arsip kita", "/mnt/hilang"]);
    let packages: Vec<_> = inventory.packages.iter().map(|p| (p.name.as_str(), p.version.as_str())).collect();
    assert_eq!(packages, [("nginx", "1.22.1-9")]);
}

#[tokio::test]
async fn a_clock_that_was_set_is_told_with_its_jump() {
    let counters = Arc::new(Counters::default());
    counters.clock_jumps.add(2);
    counters.clock_jump_ms.set((-3_600_500_i64).cast_unsigned());
    let mut recorder = Recorder::default();
    collectors::runner(&Collect::default(), &host(), &counters, &Arc::default()).collect(&mut recorder).await;
    let (samples, types) = read(&recorder);
    assert_eq!(samples["siaga_agent_clock_jumps_total"], 2.0);
    assert_eq!(samples["siaga_agent_clock_jump_seconds"], -3_600.5);
    assert_eq!(types["siaga_agent_clock_jumps_total"], "counter");
}
