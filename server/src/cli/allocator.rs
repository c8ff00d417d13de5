//! How the C library's allocator is set up for a server with many threads.
//!
//! By default glibc gives every thread an arena of its own, up to eight a processor, and each keeps what its thread
//! once freed: a request is unpacked on whichever thread is free, so that each arena comes to hold a request's worth.
//! Measured with `make bench`: a quarter of the peak memory, and no speed.

/// Arenas at least: one lets threads wait for each other.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const FEWEST_ARENAS: usize = 2;

/// Lets the allocator have no more arenas than there are processors. To be called before the first thread starts.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the C library has no other way to say it from within a program")]
pub(super) fn set_up() {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let arenas = processors.clamp(FEWEST_ARENAS, 64);
    // SAFETY: `mallopt` takes two plain integers and touches no memory of ours; it must not run beside other threads
    // that allocate, and this is called at the start of `main`, where there are none. A refusal (0) changes nothing.
    let _ = unsafe { libc::mallopt(libc::M_ARENA_MAX, arenas as libc::c_int) };
}

/// Other C libraries do not have arenas of threads.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn set_up() {}
