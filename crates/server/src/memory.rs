//! Memory that jobs used, given back to the system.
//!
//! glibc has a heap for every few threads, and keeps the free end of all but the first: MB that nobody
//! uses, after hundreds of jobs. So there is one heap only, and it is trimmed when no job runs.

/// Lets all threads that start from here on share one heap.
#[cfg(target_env = "gnu")]
#[expect(
    unsafe_code,
    reason = "the C library's allocator is set by its own function"
)]
pub(crate) fn share_heap() {
    // SAFETY: a number is set, under the allocator's own lock.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

/// Gives back what is free.
#[cfg(target_env = "gnu")]
#[expect(
    unsafe_code,
    reason = "the C library's allocator is asked by its own function"
)]
pub(crate) fn give_back() {
    // SAFETY: it may be called at any time, by any thread, and touches free memory only.
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators have their own ways.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn share_heap() {}

/// Other allocators have their own ways.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn give_back() {}
