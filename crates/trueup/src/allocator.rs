//! The allocator and its settings.
//!
//! jemalloc, because the controller lives for months and its memory grows and shrinks with every render: glibc keeps what was
//! freed, jemalloc gives it back. The settings are compiled in, so that they hold however the program is started;
//! `_RJEM_MALLOC_CONF` in the environment still overrides them.
#![expect(
    unsafe_code,
    reason = "jemalloc looks for its settings under a symbol name, and exporting one is an unsafe attribute"
)]

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// jemalloc's options, ended by a NUL byte as C wants it.
///
/// - `narenas:2`: by default there are four arenas per processor; on a node with 64 processors what was freed in one of 256
///   arenas serves no other, and a process that needs 40 MiB holds some hundred. Two suffice: allocating is never our bottleneck.
/// - `background_thread:true`: pages go back to the system also while nothing is allocated, that is at rest.
/// - `dirty_decay_ms:2000`: freed pages are reused within a sync (seconds), and are given back soon after it (default 10 s).
/// - `muzzy_decay_ms:0`: given back at once thereafter, so that what the kernel counts as ours is what we use.
static SETTINGS: [u8; 70] = *b"narenas:2,background_thread:true,dirty_decay_ms:2000,muzzy_decay_ms:0\0";

// SAFETY: jemalloc declares `const char *_rjem_malloc_conf` as a weak symbol and reads it as a NUL-ended string. An optional
// reference has the layout of a pointer, the text is ended by NUL, and both live as long as the program.
/// Where jemalloc finds [`SETTINGS`].
#[unsafe(export_name = "_rjem_malloc_conf")]
#[used]
static MALLOC_CONF: Option<&'static [u8; 70]> = Some(&SETTINGS);
