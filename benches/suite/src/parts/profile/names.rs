//! The parts that processor time is told by, and what belongs to which. One place for all of them, so that
//! the rows of the user's side and of the kernel's can be read together.
//!
//! The first eight are the way of an order; the others are what carries it.

/// Taking a connection, and ending it. Measured by itself: see the module above.
pub const ACCEPT: &str = "accept: taking a connection for one order, and ending it";
const PARSE: &str = "parse: HTTP, JSON, decimals";
const AUTH: &str = "auth: who asks, and may it";
const ROUTE: &str = "route: to the handler and the shard";
const LEDGER: &str = "ledger: balances and what is reserved";
const BOOK: &str = "book";
const JOURNAL: &str = "journal: records, checksums, batches";
const ANSWER: &str = "answer: written, kept in order, sent";

/// The way of an order on a kept connection: each has a row, however little it takes.
pub const WAY: [&str; 7] = [PARSE, AUTH, ROUTE, LEDGER, BOOK, JOURNAL, ANSWER];

const ORDERS: &str = "orders: their state, messages between ledger and book";
const GATE: &str = "the gate: what waits to be durable";
const CONNECTIONS: &str = "connections: their tasks, reading";
const FRAMES: &str = "WebSocket frames";
const METRICS: &str = "metrics";
const AUDIT: &str = "audit trail";
const RING: &str = "runtime: io_uring";
const EXECUTOR: &str = "runtime: executor, tasks, timers";
const TLS: &str = "TLS";
const NODE: &str = "runtime: the node's turn";
const ALLOCATION: &str = "allocation";
const COPYING: &str = "copying and comparing bytes";
const CLOCK: &str = "reading the clock";
const C_LIBRARY: &str = "the C library: calling the system, the rest";
/// Of code that is not ours, with nothing of ours inlined around it, and in none of the tables.
pub const OTHER_CRATES: &str = "other crates and the standard library";

/// By the beginning of a path below the project's root, the first one that fits.
pub const FILES: [(&str, &str); 49] = [
    ("shards/gateway/src/http/response", ANSWER),
    ("shards/gateway/src/http/queue", ANSWER),
    ("shards/gateway/src/http/connection", CONNECTIONS),
    ("shards/gateway/src/http", PARSE),
    ("shards/gateway/src/json/write", ANSWER),
    ("shards/gateway/src/json", PARSE),
    ("shards/gateway/src/query_string", PARSE),
    ("shards/gateway/src/ws", FRAMES),
    ("shards/gateway/src/auth", AUTH),
    ("shards/gateway/src/middleware/dialect", ROUTE),
    ("shards/gateway/src/middleware", AUTH),
    ("shards/gateway/src/native/route", ROUTE),
    ("shards/gateway/src/native/mod", ROUTE),
    ("shards/gateway/src/native/action", ROUTE),
    ("shards/gateway/src/native/context", ROUTE),
    ("shards/gateway/src/native/resolve", ROUTE),
    ("shards/gateway/src/native/format", ANSWER),
    ("shards/gateway/src/native/failure", ANSWER),
    ("shards/gateway/src/native/refusal", ANSWER),
    ("shards/gateway/src/native/push", ANSWER),
    ("shards/gateway/src/native/ws", FRAMES),
    // Fields, orders, amounts: from text to a command.
    ("shards/gateway", PARSE),
    ("shards/identity", AUTH),
    ("shards/runtime/src/node/guard", AUTH),
    ("shards/runtime/src/bucket", AUTH),
    ("shards/runtime/src/throttle", AUTH),
    ("shards/runtime/src/node/dispatch", ROUTE),
    ("shards/runtime/src/node/waiting", ROUTE),
    ("shards/runtime/src/node/parcel", ROUTE),
    ("shards/runtime/src/mesh", ROUTE),
    ("shards/runtime/src/node/outlet", ANSWER),
    ("shards/runtime/src/node/commit", JOURNAL),
    ("shards/runtime/src/disk", JOURNAL),
    ("shards/runtime/src/node/measure", METRICS),
    ("shards/runtime/src/node/auditing", AUDIT),
    ("shards/runtime/src/node/s", CONNECTIONS),
    ("shards/runtime/src/listener", CONNECTIONS),
    ("shards/runtime/src/registry", CONNECTIONS),
    ("shards/runtime/src/tls", TLS),
    ("shards/runtime/vendor/glommio-ng/src/sys", RING),
    ("shards/runtime/vendor", EXECUTOR),
    ("shards/runtime", NODE),
    ("shards/ledger", LEDGER),
    ("shards/book", BOOK),
    ("shards/engine", ORDERS),
    ("shards/shard", GATE),
    ("shards/journal", JOURNAL),
    ("shards/telemetry", METRICS),
    ("shards/audit", AUDIT),
];

/// Numbers are everybody's: time in them is that of whoever is around them, and where nobody is, this.
pub const NUMBERS: (&str, &str) = ("shards/money", PARSE);

/// Crates and parts of the standard library, where nothing of ours is inlined around them: by what a path
/// contains, the first one that fits.
pub const CRATES: [(&str, &str); 17] = [
    ("/httparse-", PARSE),
    // Only what is read is checked for being text.
    ("/core/src/str/", PARSE),
    ("/memchr-", PARSE),
    ("/core/src/slice/memchr", PARSE),
    ("/crc32c-", JOURNAL),
    ("/xxhash-rust-", JOURNAL),
    ("/rkyv-", JOURNAL),
    ("/ring-", AUTH),
    ("/sha2-", AUTH),
    ("/rustls-", TLS),
    ("/io-uring-", RING),
    ("/sharded-slab-", CONNECTIONS),
    ("/itoa-", ANSWER),
    ("/alloc/src/raw_vec", ALLOCATION),
    ("/alloc/src/alloc.rs", ALLOCATION),
    ("/std/src/sys/pal/unix/time", CLOCK),
    ("/hashbrown-", "hash tables that grow"),
];

/// Generic functions of none of these: by what of ours their types name, the first one that fits.
pub const TYPES: [(&str, &str); 10] = [
    ("glommio_ng::sys", RING),
    ("glommio_ng::", EXECUTOR),
    ("gateway::", PARSE),
    ("journal::", JOURNAL),
    ("runtime::disk", JOURNAL),
    ("runtime::", NODE),
    ("ledger::", LEDGER),
    ("book::", BOOK),
    ("engine::", ORDERS),
    ("shard::", GATE),
];

/// Functions of the C library and the kernel's page of functions, by the beginnings of their names.
const LIBRARY: [(&str, &[&str]); 3] = [
    (
        ALLOCATION,
        &[
            "malloc",
            "free",
            "cfree",
            "calloc",
            "realloc",
            "_int_",
            "__libc_malloc",
            "__libc_free",
            "__libc_calloc",
            "__libc_realloc",
            "sysmalloc",
            "unlink_chunk",
            "tcache",
            "aligned_alloc",
            "posix_memalign",
            "_mid_memalign",
            "__libc_memalign",
            "alloc_perturb",
        ],
    ),
    (COPYING, &["__mem", "mem", "bcmp", "__bcmp", "bcopy"]),
    (CLOCK, &["__vdso_clock", "clock_gettime", "__clock_gettime", "__vdso_gettime", "vread_"]),
];

/// The part of a function outside of the program and the kernel.
pub fn of_library(name: &str) -> &'static str {
    let is_one = |part: &&(&str, &[&str])| part.1.iter().any(|begin| name.starts_with(begin));
    LIBRARY.iter().find(is_one).map_or(C_LIBRARY, |part| part.0)
}

/// Taking connections and ending them, whatever else is under way within.
const KERNEL_ACCEPT: (&str, &[&str]) = (
    "kernel: taking and ending connections",
    &[
        "inet_csk_accept",
        "inet_accept",
        "do_accept",
        "io_accept",
        "__sys_accept",
        "tcp_conn_request",
        "tcp_v4_conn_request",
        "tcp_v4_syn_recv_sock",
        "tcp_create_openreq",
        "tcp_check_req",
        "tcp_rcv_state_process",
        "tcp_close",
        "__tcp_close",
        "tcp_shutdown",
        "inet_shutdown",
        "inet_release",
        "sock_close",
        "__fput",
        "tcp_time_wait",
        "inet_csk_destroy",
        "io_shutdown",
    ],
);

/// What the kernel is about otherwise, by the beginning of a function's name: the first match of the
/// innermost function that has one.
const KERNEL: [(&str, &[&str]); 8] = [
    (
        "kernel: disk",
        &[
            "blk_",
            "blkdev",
            "bio_",
            "submit_bio",
            "ext4",
            "iomap",
            "dio_",
            "virtblk",
            "virtio_",
            "jbd2",
        ],
    ),
    (
        "kernel: network",
        &[
            "tcp_",
            "__tcp",
            "inet",
            "__inet",
            "ip_",
            "__ip",
            "sock_",
            "__sock",
            "skb",
            "__skb",
            "net_",
            "__netif",
            "netif",
            "loopback",
            "__dev_queue",
            "dev_hard",
            "process_backlog",
            "napi",
            "sk_",
            "__sk",
            "kfree_skb",
            "__kfree_skb",
            "__alloc_skb",
            "nf_",
            "import_ubuf",
            "release_sock",
            "lock_sock",
            "__sys_send",
            "__sys_recv",
            "__release_sock",
        ],
    ),
    (
        "kernel: io_uring",
        &["io_", "__io_", "__do_sys_io_uring", "__x64_sys_io_uring", "tctx_task_work"],
    ),
    ("kernel: polling sockets", &["ep_", "do_epoll", "__pollwait"]),
    (
        "kernel: page faults",
        &["exc_page_fault", "asm_exc_page_fault", "handle_mm_fault", "do_anonymous"],
    ),
    (
        "kernel: scheduling",
        &[
            "schedule",
            "__schedule",
            "try_to_wake",
            "ttwu",
            "dequeue_",
            "enqueue_",
            "pick_next",
            "finish_task",
            "futex",
            "update_",
            "hrtimer",
            "tick_",
            "__hrtimer",
            "do_idle",
        ],
    ),
    (
        "kernel: interrupts, mostly of other processors",
        &["irqentry", "asm_sysvec", "sysvec_", "asm_common_interrupt", "__irq"],
    ),
    ("kernel: entering and leaving", &["syscall", "do_syscall", "entry_SYSCALL", "exit_to_user"]),
];

/// The part of a sample in the kernel: its functions there, innermost first.
pub fn of_kernel<'a>(functions: impl Iterator<Item = &'a str> + Clone) -> &'static str {
    let begins =
        |name: &str, part: &(&str, &[&str])| part.1.iter().any(|begin| name.starts_with(begin));
    if functions.clone().any(|name| begins(name, &KERNEL_ACCEPT)) {
        return KERNEL_ACCEPT.0;
    }
    let part_of = |name: &str| KERNEL.iter().find(|part| begins(name, part)).map(|part| part.0);
    functions.filter_map(part_of).next().unwrap_or("kernel: the rest")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_order_passes_through_has_a_row_each() {
        let files = FILES.iter().map(|file| file.1);
        for part in WAY.iter().chain(&[ORDERS]) {
            assert!(files.clone().any(|of| of == *part), "{part}");
        }
    }

    #[test]
    fn every_beginning_of_a_path_is_there_and_is_met_before_a_shorter_one() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../");
        for (at, (begin, _)) in FILES.iter().enumerate() {
            let (parent, name) = begin.rsplit_once('/').expect("below a folder");
            let entries = std::fs::read_dir(format!("{root}{parent}")).expect(parent);
            let mut names = entries.map(|entry| entry.expect("an entry").file_name());
            assert!(names.any(|of| of.to_string_lossy().starts_with(name)), "{begin} is gone");
            let shadow = FILES[..at].iter().find(|(before, _)| begin.starts_with(before));
            assert_eq!(shadow, None, "{begin} is never reached");
        }
    }

    #[test]
    fn the_kernel_and_the_c_library_are_told_by_what_they_do() {
        let of = |functions: &[&'static str]| of_kernel(functions.iter().copied());
        assert_eq!(of(&["memcpy_orig", "skb_copy", "io_recv"]), "kernel: network");
        assert_eq!(of(&["fdget", "__sys_sendto", "do_syscall_64"]), "kernel: network");
        assert_eq!(of(&["clear_page", "get_page", "exc_page_fault"]), "kernel: page faults");
        assert_eq!(of(&["skb_alloc", "tcp_create_openreq_child"]), KERNEL_ACCEPT.0);
        assert_eq!(of(&["never_heard_of"]), "kernel: the rest");
        assert_eq!(of_library("_int_malloc"), ALLOCATION);
        assert_eq!(of_library("__memmove_avx512_unaligned_erms"), COPYING);
        assert_eq!(of_library("__vdso_clock_gettime"), CLOCK);
        assert_eq!(of_library("__send"), C_LIBRARY);
    }
}
