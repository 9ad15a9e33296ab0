//! Hints to the processor. They change no result: only when memory is fetched.

/// Has the first cache line of a value fetched, without waiting for it. Nothing where the processor
/// has no stable instruction for it.
#[inline(always)]
pub fn prefetch<T>(value: &T) {
    prefetch_at((&raw const *value).cast());
}

/// Has all cache lines of a value fetched, without waiting for them.
#[inline(always)]
pub fn prefetch_all<T>(value: &T) {
    const LINE_BYTES: usize = 64;
    let begin: *const u8 = (&raw const *value).cast();
    for line in 0..size_of::<T>().div_ceil(LINE_BYTES) {
        prefetch_at(begin.wrapping_add(line * LINE_BYTES));
    }
    // A value that does not begin on a line ends on one more.
    prefetch_at(begin.wrapping_add(size_of::<T>().saturating_sub(1)));
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[allow(unsafe_code)]
fn prefetch_at(address: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch neither reads nor faults, whatever the address; SSE is part of x86-64.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn prefetch_at(_: *const u8) {}
