//! What families mean, for people: sent to the server from time to time, and printed by `once`.
//!
//! Families whose names come from the kernel share a text for their beginning.

use std::borrow::Cow;

/// Meaning of a family in one line; empty where it is not known.
#[must_use]
pub fn of(name: &str) -> Cow<'static, str> {
    if let Ok(place) = FAMILIES.binary_search_by_key(&name, |(family, _)| family) {
        return Cow::Borrowed(FAMILIES[place].1);
    }
    let found = BEGINNINGS.iter().find_map(|(start, text)| Some((text, name.strip_prefix(start)?)));
    found.map_or(Cow::Borrowed(""), |(text, rest)| Cow::Owned(format!("{text}{rest}")))
}

const BEGINNINGS: [(&str, &str); 9] = [
    ("node_memory_", "Field of /proc/meminfo: "),
    ("node_netstat_", "Counter of the network protocols: "),
    ("node_network_", "Property of the network interface: "),
    ("node_nf_conntrack_stat_", "Counter of connection tracking: "),
    ("node_sockstat_", "Sockets: "),
    ("node_timex_", "State of the kernel's clock: "),
    ("node_vmstat_", "Field of /proc/vmstat: "),
    ("node_softnet_", "Packets by processor: "),
    ("node_selinux_", "State of SELinux: "),
];

/// Sorted by name.
const FAMILIES: [(&str, &str); 112] = [
    ("node_arp_entries", "Entries of the ARP table."),
    ("node_boot_time_seconds", "Time of the last start of the machine, Unix time."),
    ("node_context_switches_total", "Switches between tasks."),
    ("node_cpu_guest_seconds_total", "Processor time given to virtual machines, by mode."),
    ("node_cpu_seconds_total", "Processor time by mode."),
    ("node_disk_discard_time_seconds_total", "Time spent on discards."),
    ("node_disk_discarded_sectors_total", "Sectors discarded."),
    ("node_disk_discards_completed_total", "Discards done."),
    ("node_disk_discards_merged_total", "Discards that were merged with others."),
    ("node_disk_flush_requests_time_seconds_total", "Time spent on flushes."),
    ("node_disk_flush_requests_total", "Flushes done."),
    ("node_disk_info", "What is known of the block device; always 1."),
    ("node_disk_io_now", "Requests that are under way."),
    ("node_disk_io_time_seconds_total", "Time during which at least one request was under way."),
    ("node_disk_io_time_weighted_seconds_total", "Time of all requests together."),
    ("node_disk_read_bytes_total", "Bytes read."),
    ("node_disk_read_time_seconds_total", "Time spent on reads."),
    ("node_disk_reads_completed_total", "Reads done."),
    ("node_disk_reads_merged_total", "Reads that were merged with others."),
    ("node_disk_write_time_seconds_total", "Time spent on writes."),
    ("node_disk_writes_completed_total", "Writes done."),
    ("node_disk_writes_merged_total", "Writes that were merged with others."),
    ("node_disk_written_bytes_total", "Bytes written."),
    ("node_entropy_available_bits", "Randomness that is at hand."),
    ("node_entropy_pool_size_bits", "Randomness that the kernel can hold."),
    ("node_filefd_allocated", "Open files of the whole system."),
    ("node_filefd_maximum", "Most open files of the whole system."),
    ("node_filesystem_avail_bytes", "Space that users other than root may still fill."),
    ("node_filesystem_device_error", "1 if the filesystem does not answer."),
    ("node_filesystem_files", "Most files of the filesystem."),
    ("node_filesystem_files_free", "Files that may still be made."),
    ("node_filesystem_free_bytes", "Free space, that kept for root included."),
    ("node_filesystem_readonly", "1 if it is mounted read-only."),
    ("node_filesystem_size_bytes", "Size of the filesystem."),
    ("node_forks_total", "Processes and threads started."),
    ("node_intr_total", "Interrupts served."),
    ("node_load1", "Tasks that run or wait, average of 1 minute."),
    ("node_load15", "Tasks that run or wait, average of 15 minutes."),
    ("node_load5", "Tasks that run or wait, average of 5 minutes."),
    ("node_network_address_assign_type", "How the hardware address was given."),
    ("node_network_carrier", "1 if there is a link."),
    ("node_network_carrier_changes_total", "Times that the link came or went."),
    ("node_network_carrier_down_changes_total", "Times that the link went."),
    ("node_network_carrier_up_changes_total", "Times that the link came."),
    ("node_network_info", "What is known of the interface; always 1."),
    ("node_network_mtu_bytes", "Largest packet."),
    ("node_network_receive_bytes_total", "Bytes received."),
    ("node_network_receive_drop_total", "Packets received and dropped."),
    ("node_network_receive_errs_total", "Packets received with errors."),
    ("node_network_receive_nohandler_total", "Packets received for which there is no protocol."),
    ("node_network_receive_packets_total", "Packets received."),
    ("node_network_speed_bytes", "Speed of the link, bytes a second."),
    ("node_network_transmit_bytes_total", "Bytes sent."),
    ("node_network_transmit_drop_total", "Packets dropped before they were sent."),
    ("node_network_transmit_errs_total", "Packets that could not be sent for errors."),
    ("node_network_transmit_packets_total", "Packets sent."),
    ("node_network_up", "1 if the interface is up."),
    ("node_nf_conntrack_entries", "Connections that the packet filter tracks."),
    ("node_nf_conntrack_entries_limit", "Most connections that it tracks."),
    ("node_os_info", "Release of the operating system; always 1."),
    ("node_os_version", "Version of the operating system, major and minor."),
    ("node_pressure_cpu_waiting_seconds_total", "Time during which some task waited for a processor."),
    ("node_pressure_io_stalled_seconds_total", "Time during which all tasks waited for devices."),
    ("node_pressure_io_waiting_seconds_total", "Time during which some task waited for devices."),
    ("node_pressure_irq_stalled_seconds_total", "Time during which all tasks waited for interrupts."),
    ("node_pressure_memory_stalled_seconds_total", "Time during which all tasks waited for memory."),
    ("node_pressure_memory_waiting_seconds_total", "Time during which some task waited for memory."),
    ("node_processes_max_processes", "Most processes."),
    ("node_processes_max_threads", "Most threads."),
    ("node_processes_pids", "Processes."),
    ("node_processes_state", "Processes by state."),
    ("node_processes_threads", "Threads."),
    ("node_procs_blocked", "Tasks that wait for devices."),
    ("node_procs_running", "Tasks that run or wait for a processor."),
    ("node_scrape_collector_duration_seconds", "Time that the collector took."),
    ("node_scrape_collector_success", "1 if the collector worked."),
    ("node_selinux_enabled", "1 if SELinux is on."),
    ("node_softnet_dropped_total", "Packets that the processor dropped."),
    ("node_softnet_processed_total", "Packets that the processor handled."),
    (
        "node_softnet_times_squeezed_total",
        "Times that the processor ran out of its share while packets waited.",
    ),
    ("node_textfile_mtime_seconds", "Time of the last change of the file, Unix time."),
    ("node_textfile_scrape_error", "1 if a file could not be read."),
    ("node_time_clocksource_available_info", "Sources of time that could be used; always 1."),
    ("node_time_clocksource_current_info", "Source of time that is used; always 1."),
    ("node_time_seconds", "Clock of the host, Unix time."),
    ("node_time_zone_offset_seconds", "Offset of the host's time zone from UTC."),
    ("node_timex_estimated_error_seconds", "Error of the clock, estimated."),
    ("node_timex_maxerror_seconds", "Error of the clock, at most."),
    ("node_timex_offset_seconds", "Offset of the clock from its reference."),
    ("node_timex_sync_status", "1 if a time service keeps the clock."),
    ("node_udp_queues", "Bytes that wait in UDP sockets."),
    ("node_uname_info", "Kernel and host name; always 1."),
    ("process_cpu_seconds_total", "Processor time of the agent."),
    ("process_max_fds", "Most open files of the agent."),
    ("process_open_fds", "Open files of the agent."),
    ("process_resident_memory_bytes", "Resident memory of the agent."),
    ("process_start_time_seconds", "Start of the agent, Unix time."),
    ("process_virtual_memory_bytes", "Virtual memory of the agent."),
    ("process_virtual_memory_max_bytes", "Most virtual memory of the agent."),
    ("siaga_agent_build_info", "Version of the agent; always 1."),
    ("siaga_agent_clock_jump_seconds", "Last jump of the host's clock."),
    ("siaga_agent_clock_jumps_total", "Times that the host's clock was set."),
    ("siaga_agent_clock_offset_seconds", "Clock of the server minus that of the host."),
    ("siaga_agent_collection_duration_seconds", "Duration of the last collection."),
    ("siaga_agent_cpu_seconds_total", "Processor time of the agent."),
    ("siaga_agent_orders_refused_total", "Orders that the agent did not accept."),
    ("siaga_agent_rejected_samples_total", "Samples that the server refused for good."),
    ("siaga_agent_resident_memory_bytes", "Resident memory of the agent."),
    ("siaga_agent_send_failures_total", "Requests with samples that failed."),
    ("siaga_agent_spool_bytes", "Bytes that wait in the spool."),
    ("siaga_agent_spool_dropped_samples_total", "Samples that the spool had to drop."),
    ("siaga_agent_spool_errors_total", "Writes to the spool that failed."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_found_and_others_are_silent() {
        assert!(FAMILIES.is_sorted());
        assert_eq!(of("node_load5"), "Tasks that run or wait, average of 5 minutes.");
        assert_eq!(of("node_memory_Slab_bytes"), "Field of /proc/meminfo: Slab_bytes");
        assert_eq!(of("backup_age_seconds"), "");
    }
}
