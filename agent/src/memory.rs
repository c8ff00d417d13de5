//! Few pages: the agent lives on servers that have other things to do with their memory.
//!
//! What only the start needed (reading the configuration, the first inventory) is given back: free memory in the middle of
//! the heap, and pages of the program itself, which are read again from its file should they be needed.

use std::time::Duration;

/// The start is over after this time.
const START: Duration = Duration::from_secs(30);
/// Time between two looks for what can be given back: a new configuration and reports need more for a moment.
const INTERVAL: Duration = Duration::from_secs(600);

/// Gives back what is not needed, until it is stopped.
pub async fn run() {
    tokio::time::sleep(START).await;
    loop {
        give_back();
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Has all threads share one heap that does not keep what is free. To be called before the first thread starts.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the C library's allocator has no safe interface")]
pub fn be_sparing() {
    const KEPT_BYTES: libc::c_int = 64 * 1024;
    for (setting, value) in [
        (libc::M_ARENA_MAX, 1),
        (libc::M_TRIM_THRESHOLD, KEPT_BYTES),
        (libc::M_MMAP_THRESHOLD, KEPT_BYTES),
        (libc::M_TOP_PAD, KEPT_BYTES / 4),
    ] {
        // SAFETY: two numbers; what is wrong or not known is refused and changes nothing.
        unsafe { libc::mallopt(setting, value) };
    }
}

/// Other C libraries are left as they are.
#[cfg(not(target_env = "gnu"))]
pub fn be_sparing() {}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "neither the allocator nor the kernel has a safe interface for it")]
fn give_back() {
    // SAFETY: it takes a number and touches only memory that nobody holds.
    unsafe { libc::malloc_trim(0) };
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    if let Some((start, length)) = code(&maps, give_back as *const () as usize) {
        // SAFETY: a mapping of this program's file that can be read and executed but not written, so that none of its
        // pages differs from the file: those that are dropped come back from there unchanged when they are needed.
        unsafe { libc::madvise(start as *mut libc::c_void, length, libc::MADV_DONTNEED) };
    }
}

#[cfg(not(target_env = "gnu"))]
fn give_back() {}

/// Start and length of the mapping that an address of the program's code lies in, if it can only be read and executed.
fn code(maps: &str, address: usize) -> Option<(usize, usize)> {
    maps.lines().find_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
        let is_code = rest.starts_with("r-xp ") && (start..end).contains(&address);
        is_code.then_some((start, end - start))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_mapping_of_the_code_is_found_and_only_if_nobody_can_write_to_it() {
        let maps = "1000-3000 r--p 00000000 fe:00 1 /usr/bin/siaga-agent\n\
                    3000-8000 r-xp 00002000 fe:00 1 /usr/bin/siaga-agent\n\
                    8000-9000 rw-p 00007000 fe:00 1 /usr/bin/siaga-agent\n\
                    9000-a000 rwxp 00000000 00:00 0\n";
        assert_eq!(code(maps, 0x3000), Some((0x3000, 0x5000)));
        assert_eq!(code(maps, 0x7fff), Some((0x3000, 0x5000)));
        for address in [0x1000, 0x8000, 0x9000, 0xb000] {
            assert_eq!(code(maps, address), None, "{address:x}");
        }
    }

    #[test]
    fn the_program_goes_on_after_it_gave_back() {
        be_sparing();
        let kept: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
        drop(vec![7_u8; 1 << 20]);
        give_back();
        assert_eq!(kept.iter().filter_map(|text| text.parse::<usize>().ok()).sum::<usize>(), 499_500);
    }
}
