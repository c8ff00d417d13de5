//! A kernel as old as that of CentOS 7, which is 3.10, as far as its system calls go: those that came later answer
//! `ENOSYS`, as they do there.
#![expect(unsafe_code, reason = "a filter of system calls has no safe wrapper in the standard library")]

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Number of `sched_setattr` of Linux 3.14, the first that 3.10 does not have; later ones have higher numbers.
#[cfg(target_arch = "x86_64")]
const FIRST_NEWER: u32 = 314;
#[cfg(target_arch = "aarch64")]
const FIRST_NEWER: u32 = 274;

/// Has the program run as on such a kernel, with all that it starts.
pub(crate) fn confine(command: &mut Command) {
    // SAFETY: between fork and exec it makes two system calls with data of its own stack, and allocates nothing.
    unsafe { command.pre_exec(install) };
}

fn install() -> std::io::Result<()> {
    let line = |code: u32, when: u8, otherwise: u8, k: u32| libc::sock_filter {
        #[expect(clippy::cast_possible_truncation, reason = "codes have 16 bits")]
        code: code as u16,
        jt: when,
        jf: otherwise,
        k,
    };
    let mut filter = [
        // The number of the call, the first field of `seccomp_data`.
        line(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        line(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, FIRST_NEWER),
        line(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned()),
        line(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
    // SAFETY: plain numbers, and a pointer to a whole program that lives through the call.
    let refused = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) != 0
    };
    if refused { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}
