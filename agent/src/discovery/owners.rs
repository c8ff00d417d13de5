//! Which program holds a socket: found where the agent may read another process's open files, which without privileges
//! are those of its own user.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

/// Longest part of a command line that is read, in bytes.
const MAX_COMMAND_BYTES: u64 = 64 * 1024;
/// Longest name that is told.
const MAX_NAME_CHARS: usize = 100;
/// Options of `java` whose value stands in the next argument.
const JAVA_OPTIONS_WITH_VALUE: [&str; 5] = ["-cp", "-classpath", "--class-path", "-p", "--module-path"];

/// Names of the programs that hold these sockets, as far as they can be seen. Looks no further than needed.
pub(super) fn names(root: &Path, mut wanted: BTreeSet<u64>) -> BTreeMap<u64, String> {
    let mut found = BTreeMap::new();
    let Ok(processes) = std::fs::read_dir(root.join("proc")) else { return found };
    for process in processes.flatten() {
        if wanted.is_empty() {
            break;
        }
        let is_process = process.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
        let Some(files) = is_process.then(|| std::fs::read_dir(process.path().join("fd")).ok()).flatten()
        else {
            continue;
        };
        for file in files.flatten() {
            let Some(inode) = std::fs::read_link(file.path()).ok().and_then(|link| inode(&link)) else {
                continue;
            };
            if wanted.remove(&inode) {
                found.insert(inode, name(&process.path()));
            }
        }
    }
    found
}

fn inode(link: &Path) -> Option<u64> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn name(process: &Path) -> String {
    let name = std::fs::read_to_string(process.join("comm")).unwrap_or_default();
    let name = name.trim();
    let mut command = String::new();
    if name == "java"
        && let Ok(file) = std::fs::File::open(process.join("cmdline"))
        && file.take(MAX_COMMAND_BYTES).read_to_string(&mut command).is_ok()
        && let Some(program) = java_program(&command)
    {
        return format!("java {program}");
    }
    name.chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARS).collect()
}

/// The class or archive that a JVM runs. Nothing else of a command line is told: it may hold secrets.
fn java_program(command: &str) -> Option<&str> {
    let mut arguments = command.split('\0').skip(1);
    loop {
        match arguments.next()? {
            "-jar" => {
                let archive = arguments.next()?;
                return Some(archive.rsplit('/').next().unwrap_or(archive)).filter(is_plain);
            }
            option if JAVA_OPTIONS_WITH_VALUE.contains(&option) => drop(arguments.next()),
            option if option.starts_with(['-', '@']) => {}
            class => return Some(class).filter(is_plain),
        }
    }
}

fn is_plain(name: &&str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '$' | '/');
    !name.is_empty() && name.len() <= MAX_NAME_CHARS && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::sockets;

    #[test]
    fn the_program_behind_an_own_socket_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let inodes = sockets::read(Path::new("/"))[&port].inodes.clone();
        let names = names(Path::new("/"), inodes.clone());
        let comm = std::fs::read_to_string("/proc/self/comm").unwrap();
        assert_eq!(names.get(inodes.first().unwrap()).map(String::as_str), Some(comm.trim()));
    }

    #[test]
    fn of_a_jvm_the_program_is_told_and_no_argument() {
        for (command, program) in [
            (
                "java\0-Xmx1g\0-cp\0a:b\0org.apache.catalina.startup.Bootstrap\0start\0",
                Some("org.apache.catalina.startup.Bootstrap"),
            ),
            ("java\0-Dpassword=x\0-jar\0/srv/app/spse.jar\0--secret\0", Some("spse.jar")),
            ("java\0-jar\0/srv/an app?.jar\0", None),
            ("java\0-version\0", None),
        ] {
            assert_eq!(java_program(command), program, "{command:?}");
        }
    }
}
