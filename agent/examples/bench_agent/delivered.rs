//! The program as it is delivered: that it depends on no shared library, loads none, and runs on an old kernel.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{old_kernel, row};

/// ELF program headers, by their type.
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
/// A shared library that the program asks for.
const DT_NEEDED: u64 = 1;

fn number<const N: usize>(bytes: &[u8], at: usize) -> anyhow::Result<u64> {
    let part = bytes.get(at..at + N).ok_or_else(|| anyhow::anyhow!("the program is cut off"))?;
    Ok(part.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
}

/// Shared libraries that a program asks for, its loader among them (ELF, 64 bits, little endian).
fn libraries(program: &Path) -> anyhow::Result<usize> {
    let bytes = std::fs::read(program)?;
    anyhow::ensure!(bytes.starts_with(b"\x7fELF\x02\x01"), "no program of 64 bits, little endian");
    let place = |number: u64| usize::try_from(number).unwrap_or(usize::MAX / 2);
    let headers = place(number::<8>(&bytes, 32)?);
    let (size, count) = (place(number::<2>(&bytes, 54)?), place(number::<2>(&bytes, 56)?));
    let mut found = 0;
    for header in (0..count).map(|index| headers + index * size) {
        let (start, length) =
            (place(number::<8>(&bytes, header + 8)?), place(number::<8>(&bytes, header + 32)?));
        match u32::try_from(number::<4>(&bytes, header)?)? {
            PT_INTERP => found += 1,
            PT_DYNAMIC => {
                for entry in (start..start + length).step_by(16) {
                    found += usize::from(number::<8>(&bytes, entry)? == DT_NEEDED);
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

/// Series of one collection, on a kernel that refuses system calls that are newer than 3.10 or not.
fn series(agent: &Path, on_old_kernel: bool) -> anyhow::Result<usize> {
    let mut command = Command::new(agent);
    command.arg("once").stderr(Stdio::null());
    if on_old_kernel {
        old_kernel::confine(&mut command);
    }
    let text = String::from_utf8(command.output()?.stdout)?;
    Ok(text.lines().filter(|line| !line.starts_with('#')).count())
}

/// Shared libraries that the program opens while it looks up a name on a host whose `/etc/nsswitch.conf` names a plug-in
/// first, as those of many distributions do.
fn loaded(agent: &Path) -> anyhow::Result<usize> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    std::fs::write(
        path("agent.toml"),
        "[[services.probes]]\nname = \"x\"\nkind = \"http\"\ntarget = \"http://nowhere.invalid/\"\ntimeout_seconds = 2\n",
    )?;
    std::fs::write(path("nsswitch.conf"), "hosts: myhostname files sss dns\n")?;
    let mut traced = Command::new("unshare");
    if !rustix::process::getuid().is_root() {
        traced.args(["--user", "--map-root-user"]);
    }
    let script = "mount --bind \"$2/nsswitch.conf\" /etc/nsswitch.conf && \
                  exec strace -f -e trace=open,openat -o \"$2/trace\" \"$1\" once --config \"$2/agent.toml\"";
    traced.args(["--mount", "sh", "-c", script, "sh"]).arg(agent).arg(folder.path());
    let status = traced.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    anyhow::ensure!(status.success(), "the agent fails under strace: run tests/install-tools.sh");
    let text = String::from_utf8_lossy(&std::fs::read(path("trace"))?).into_owned();
    anyhow::ensure!(text.contains("/etc/hosts"), "no name was looked up");
    Ok(text.lines().filter(|line| line.contains(".so\"") || line.contains(".so.")).count())
}

/// Looks and prints.
pub(super) fn run(agent: &Path) -> anyhow::Result<()> {
    row("binary: shared libraries that it asks for", libraries(agent)? as f64, "", Some(0.0));
    row("binary: shared libraries loaded for a name", loaded(agent)? as f64, "", Some(0.0));
    let missing = series(agent, false)?.abs_diff(series(agent, true)?) as f64;
    row("series missing without calls newer than 3.10", missing, "", Some(0.0));
    Ok(())
}
