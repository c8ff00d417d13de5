//! How names of hosts are found in a program without shared libraries.
//!
//! The C library asks plug-ins for names (`hosts:` in `/etc/nsswitch.conf`), which are shared libraries of the host. A static
//! program would load those, and with them the host's own C library, of another version than the one in it: on old and on
//! other distributions it would crash. What is needed, `/etc/hosts` and name servers, is built in and needs no plug-in.

/// Has names looked up only by what is built into this program. To be called once, before the first lookup.
#[cfg(all(target_os = "linux", target_env = "gnu", target_feature = "crt-static"))]
#[expect(unsafe_code, reason = "no crate wraps this function of glibc")]
pub fn use_built_in() {
    unsafe extern "C" {
        fn __nss_configure_lookup(
            database: *const libc::c_char,
            services: *const libc::c_char,
        ) -> libc::c_int;
    }
    // SAFETY: both are texts that end with NUL and live for ever; the function keeps copies. No other thread runs yet.
    unsafe { __nss_configure_lookup(c"hosts".as_ptr(), c"files dns".as_ptr()) };
}

/// A program that uses the host's C library uses its plug-ins too.
#[cfg(not(all(target_os = "linux", target_env = "gnu", target_feature = "crt-static")))]
pub fn use_built_in() {}
