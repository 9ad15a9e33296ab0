//! What perf has sampled.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

/// Where a sample was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sample {
    /// At an address of the program, in the program's own terms.
    Program(u64),
    /// In a library beside it.
    Library,
    /// In the kernel, about this.
    Kernel(&'static str),
}

/// What the kernel is about, by the beginning of a function's name: the first match of the innermost
/// function that has one.
const KERNEL: [(&str, &[&str]); 7] = [
    (
        "disk",
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
        "sockets",
        &[
            "tcp_",
            "__tcp",
            "inet",
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
        ],
    ),
    ("io_uring", &["io_", "__io_", "__do_sys_io_uring", "__x64_sys_io_uring"]),
    ("polling sockets", &["ep_", "do_epoll", "__pollwait"]),
    (
        "scheduling",
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
    ("interrupts", &["irqentry", "asm_sysvec", "sysvec_", "asm_common_interrupt", "__irq"]),
    ("entering and leaving", &["syscall", "do_syscall", "entry_SYSCALL", "exit_to_user"]),
];

/// Reads the file of `perf record`; `program` is what was sampled.
pub fn read_samples(data: &Path, program: &Path) -> Result<Vec<Sample>> {
    let mut command = Command::new("perf");
    command.args(["script", "--fields", "ip,sym,dso", "--input"]).arg(data);
    let output = command.output()?;
    ensure!(output.status.success(), "perf script: {}", String::from_utf8_lossy(&output.stderr));
    Ok(parse(&String::from_utf8_lossy(&output.stdout), &format!("({})", program.display())))
}

/// Samples are blocks of lines, innermost function first: address, name, file in brackets. Addresses
/// outside of the kernel are those of the file.
fn parse(text: &str, program: &str) -> Vec<Sample> {
    let blocks = text.split("\n\n").map(str::trim).filter(|block| !block.is_empty());
    blocks.filter_map(|block| sample(block, program)).collect()
}

fn sample(block: &str, program: &str) -> Option<Sample> {
    let frames: Vec<(u64, &str)> = block
        .lines()
        .filter_map(|line| {
            let (address, name) = line.trim().split_once(' ')?;
            Some((u64::from_str_radix(address, 16).ok()?, name.trim()))
        })
        .collect();
    let &(innermost, name) = frames.first()?;
    if !is_kernel(innermost) {
        let is_program = name.ends_with(program);
        return Some(if is_program { Sample::Program(innermost) } else { Sample::Library });
    }
    let part_of = |name: &str| {
        let is_one = |part: &&(&str, &[&str])| part.1.iter().any(|begin| name.starts_with(begin));
        KERNEL.iter().find(is_one).map(|part| part.0)
    };
    let in_kernel = frames.iter().take_while(|(address, _)| is_kernel(*address));
    Some(Sample::Kernel(
        in_kernel.filter_map(|(_, name)| part_of(name)).next().unwrap_or("the rest"),
    ))
}

fn is_kernel(address: u64) -> bool {
    address >> 63 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_charged_to_the_innermost_function_that_says_something() {
        let text = "\n  ffffffff81000010 memcpy_orig ([kernel.kallsyms])\n  \
                    ffffffff81000020 skb_copy_datagram_iter ([kernel.kallsyms])\n  \
                    ffffffff81000030 io_recv ([kernel.kallsyms])\n  55aa10 [unknown] (/p)\n\n  \
                    55aa20 engine::step (/p)\n\n  101829 malloc (/libc)\n\n  \
                    ffffffff81000040 never_heard_of ([kernel.kallsyms])\n";
        let wanted = [
            Sample::Kernel("sockets"),
            Sample::Program(0x55aa20),
            Sample::Library,
            Sample::Kernel("the rest"),
        ];
        assert_eq!(parse(text, "(/p)"), wanted);
    }
}
