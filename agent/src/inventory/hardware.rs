//! The machine: maker and product from DMI, processor and memory, and whether it is virtual.

use siaga_protocol::inventory::Hardware;
use sysinfo::{CpuRefreshKind, System};

use crate::source::Source;

/// What DMI says, and the technology that it gives away.
const HYPERVISORS: [(&str, &str); 9] = [
    ("kvm", "kvm"),
    ("qemu", "qemu"),
    ("vmware", "vmware"),
    ("virtualbox", "virtualbox"),
    ("innotek", "virtualbox"),
    ("xen", "xen"),
    ("microsoft corporation", "hyper-v"),
    ("amazon ec2", "amazon"),
    ("google", "google"),
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
    if let Ok(container) = source.read("run/systemd/container") {
        return container.trim().to_owned();
    }
    if source.exists(".dockerenv") {
        return "docker".into();
    }
    let dmi = format!("{vendor} {product}").to_lowercase();
    // A maker of physical machines may also make clouds: Microsoft's and Google's count only for their virtual products.
    let physical = ["surface", "chromebook", "pixel"].iter().any(|product| dmi.contains(product));
    if let Some((_, technology)) = HYPERVISORS.iter().find(|(mark, _)| dmi.contains(mark) && !physical) {
        return (*technology).into();
    }
    if let Ok(kind) = source.read("sys/hypervisor/type") {
        return kind.trim().to_owned();
    }
    let is_guest = source.read("proc/cpuinfo").is_ok_and(|text| {
        let flags = text.lines().find(|line| line.starts_with("flags")).unwrap_or("");
        flags.split_ascii_whitespace().any(|flag| flag == "hypervisor")
    });
    if is_guest { "virtual machine".into() } else { String::new() }
}
