//! The machine: maker and product from DMI, processor and memory, and whether it is virtual.

use siaga_protocol::inventory::Hardware;
use sysinfo::{CpuRefreshKind, System};

use crate::source::Source;

/// What DMI says, and the technology that it gives away. Makers of physical machines stand with the products that are
/// virtual only.
const HYPERVISORS: [(&str, &str); 20] = [
    ("kvm", "kvm"),
    ("qemu", "qemu"),
    ("bochs", "qemu"),
    ("rhev", "kvm"),
    ("ovirt", "kvm"),
    ("openstack", "kvm"),
    ("digitalocean", "kvm"),
    ("alibaba cloud", "kvm"),
    ("nutanix ahv", "kvm"),
    ("proxmox", "kvm"),
    ("vmware", "vmware"),
    ("virtualbox", "virtualbox"),
    ("innotek", "virtualbox"),
    ("hvm domu", "xen"),
    ("xen", "xen"),
    ("microsoft corporation virtual machine", "hyper-v"),
    ("amazon ec2", "amazon"),
    ("google compute engine", "google"),
    ("parallels", "parallels"),
    ("bhyve", "bhyve"),
];

pub(super) fn read(source: &mut Source) -> Hardware {
    let mut text = |path: &str| source.read(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    let vendor = text("sys/class/dmi/id/sys_vendor");
    let product = text("sys/class/dmi/id/product_name");
    let virtualization = virtualization(source, &vendor, &product);
    let (cpu_model, cpu_count) = processor();
    Hardware { vendor, product, cpu_model, cpu_count, memory_bytes: memory(source), virtualization }
}

fn processor() -> (String, u32) {
    let Ok(mut system) = System::new() else { return (String::new(), 0) };
    system.refresh_cpu_list(CpuRefreshKind::nothing());
    let cpus = system.cpus();
    let model = cpus.first().map(|cpu| cpu.brand().trim().to_owned()).unwrap_or_default();
    (model, u32::try_from(cpus.len()).unwrap_or(u32::MAX))
}

fn memory(source: &mut Source) -> u64 {
    let Ok(text) = source.read("proc/meminfo") else { return 0 };
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or(0)
        .saturating_mul(1024)
}

fn virtualization(source: &mut Source, vendor: &str, product: &str) -> String {
    let mut text = |path: &str| source.read(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    let cpu_flags = text("proc/cpuinfo");
    let evidence = Evidence {
        vendor,
        product,
        container: text("run/systemd/container"),
        hypervisor: text("sys/hypervisor/type"),
        device_tree: text("proc/device-tree/hypervisor/compatible"),
        rules_guests: text("proc/xen/capabilities").contains("control_d"),
        cpu_flag: has_hypervisor_flag(&cpu_flags),
        docker: source.exists(".dockerenv"),
        podman: source.exists("run/.containerenv"),
    };
    evidence.technology()
}

/// Whether the first processor says that a hypervisor stands below it.
fn has_hypervisor_flag(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags")).unwrap_or("");
    flags.split_ascii_whitespace().any(|flag| flag == "hypervisor")
}

/// What a machine says of itself.
#[derive(Debug, Clone, Default)]
struct Evidence<'a> {
    /// Maker, from DMI.
    vendor: &'a str,
    /// Product, from DMI.
    product: &'a str,
    /// What systemd says of a container.
    container: String,
    /// Marks that Docker and Podman leave in their containers.
    docker: bool,
    podman: bool,
    /// What the kernel says of a hypervisor.
    hypervisor: String,
    /// What the device tree says of one, where there is no DMI.
    device_tree: String,
    /// Whether this is the machine of a hypervisor that sees itself as its first guest.
    rules_guests: bool,
    /// Whether the processor says so.
    cpu_flag: bool,
}

impl Evidence<'_> {
    /// The technology; empty on bare metal. A container counts before the machine that it runs on.
    fn technology(&self) -> String {
        if !self.container.is_empty() {
            return self.container.clone();
        }
        for (mark, name) in [(self.docker, "docker"), (self.podman, "podman")] {
            if mark {
                return name.to_owned();
            }
        }
        if self.rules_guests {
            return String::new();
        }
        let dmi = format!("{} {}", self.vendor, self.product).to_lowercase();
        if let Some((_, technology)) = HYPERVISORS.iter().find(|(mark, _)| dmi.contains(mark)) {
            return (*technology).to_owned();
        }
        if !self.hypervisor.is_empty() {
            return self.hypervisor.clone();
        }
        if let Some((_, name)) = self.device_tree.split_once(',') {
            return name.trim_end_matches('\0').to_owned();
        }
        if self.cpu_flag { "virtual machine".to_owned() } else { String::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_machine_is_told_from_a_physical_one() {
        for (vendor, product, cpu_flag, wanted) in [
            ("QEMU", "Standard PC (i440FX + PIIX, 1996)", true, "qemu"),
            ("QEMU", "Standard PC (Q35 + ICH9, 2009)", false, "qemu"),
            ("Red Hat", "KVM", true, "kvm"),
            ("oVirt", "RHEL", true, "kvm"),
            ("OpenStack Foundation", "OpenStack Nova", true, "kvm"),
            ("VMware, Inc.", "VMware Virtual Platform", true, "vmware"),
            ("innotek GmbH", "VirtualBox", true, "virtualbox"),
            ("Xen", "HVM domU", true, "xen"),
            ("Microsoft Corporation", "Virtual Machine", true, "hyper-v"),
            ("Microsoft Corporation", "Surface Laptop 5", false, ""),
            ("Amazon EC2", "t3.micro", true, "amazon"),
            ("Google", "Google Compute Engine", true, "google"),
            ("Google", "Pixelbook", false, ""),
            ("", "", true, "virtual machine"),
            ("", "", false, ""),
            ("Dell Inc.", "PowerEdge R740", false, ""),
            ("HPE", "ProLiant DL380 Gen10", false, ""),
            // Virtualisation-based security of a physical machine sets no flag for Linux; an unknown maker with it does.
            ("Contoso", "Cloud 9", true, "virtual machine"),
        ] {
            let evidence = Evidence { vendor, product, cpu_flag, ..Evidence::default() };
            assert_eq!(evidence.technology(), wanted, "{vendor} {product} {cpu_flag}");
        }
    }

    #[test]
    fn containers_and_other_marks_count_too() {
        let qemu = Evidence { vendor: "QEMU", cpu_flag: true, ..Evidence::default() };
        for (evidence, wanted) in [
            (Evidence { container: "lxc".to_owned(), ..qemu.clone() }, "lxc"),
            (Evidence { docker: true, ..qemu.clone() }, "docker"),
            (Evidence { podman: true, ..qemu.clone() }, "podman"),
            (Evidence { hypervisor: "xen".to_owned(), ..Evidence::default() }, "xen"),
            (Evidence { hypervisor: "xen".to_owned(), rules_guests: true, ..Evidence::default() }, ""),
            (Evidence { device_tree: "linux,kvm\0".to_owned(), ..Evidence::default() }, "kvm"),
        ] {
            assert_eq!(evidence.technology(), wanted, "{evidence:?}");
        }
    }

    #[test]
    fn the_flag_of_the_processor_is_a_whole_word() {
        assert!(has_hypervisor_flag("processor : 0\nflags\t\t: fpu vme hypervisor lahf_lm\n"));
        assert!(!has_hypervisor_flag("processor : 0\nflags\t\t: fpu hypervisors\n"));
        assert!(!has_hypervisor_flag("model name : hypervisor\n"));
    }
}
