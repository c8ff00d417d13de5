//! What is watched of every host. Pure.

/// A quantity of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Quantity {
    /// Processor time that is not idle, percent.
    Cpu,
    /// Memory that is not available, percent.
    Memory,
    /// Mean length of the run queue in five minutes.
    Load,
    /// Bytes a second that come in by network.
    Received,
    /// Bytes a second that go out by network.
    Sent,
    /// Bytes a second that are written to disks.
    Written,
    /// Time in which the busiest disk works, percent.
    DiskBusy,
}

impl Quantity {
    /// All of them.
    pub(super) const ALL: [Self; 7] =
        [Self::Cpu, Self::Memory, Self::Load, Self::Received, Self::Sent, Self::Written, Self::DiskBusy];

    /// Code in the API, in labels and in texts.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Load => "load",
            Self::Received => "received",
            Self::Sent => "sent",
            Self::Written => "written",
            Self::DiskBusy => "disk_busy",
        }
    }

    /// What is unusual then, as incidents name it: an alert on the same part joins the same incident.
    pub(super) const fn component(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Load => "load",
            Self::Received | Self::Sent => "network",
            Self::Written | Self::DiskBusy => "disk",
        }
    }

    /// The value of every host: means of five minutes.
    pub(super) const fn query(self) -> &'static str {
        match self {
            Self::Cpu => {
                "100 * (1 - sum by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[5m])) \
                 / sum by (instance) (rate(node_cpu_seconds_total[5m])))"
            }
            Self::Memory => {
                "100 * (1 - avg by (instance) (avg_over_time(node_memory_MemAvailable_bytes[5m])) \
                 / max by (instance) (node_memory_MemTotal_bytes))"
            }
            Self::Load => "max by (instance) (node_load5)",
            Self::Received => {
                "sum by (instance) (rate(node_network_receive_bytes_total{device!~\"lo|veth.*|docker.*|br-.*\"}[5m]))"
            }
            Self::Sent => {
                "sum by (instance) (rate(node_network_transmit_bytes_total{device!~\"lo|veth.*|docker.*|br-.*\"}[5m]))"
            }
            Self::Written => "sum by (instance) (rate(node_disk_written_bytes_total[5m]))",
            Self::DiskBusy => "100 * max by (instance) (rate(node_disk_io_time_seconds_total[5m]))",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quantity_has_a_code_of_its_own_and_a_query_that_is_one() {
        let codes: std::collections::BTreeSet<_> = Quantity::ALL.map(Quantity::code).into();
        assert_eq!(codes.len(), Quantity::ALL.len());
        for quantity in Quantity::ALL {
            assert!(promql_parser::parser::parse(quantity.query()).is_ok(), "{quantity:?}");
        }
    }
}
