//! What perf has sampled.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use super::names::{of_kernel, of_library};

/// Where a sample was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sample {
    /// In the program: at this offset in its file, in the function that perf names, inlining aside.
    Program(u64, String),
    /// In a library beside it, which did this.
    Library(&'static str),
    /// In the kernel, about this.
    Kernel(&'static str),
}

/// Reads the file of `perf record`; `program` is what was sampled.
pub fn read_samples(data: &Path, program: &Path) -> Result<Vec<Sample>> {
    let mut command = Command::new("perf");
    command.args(["script", "--fields", "ip,sym,dso", "--input"]).arg(data);
    let output = command.output()?;
    ensure!(output.status.success(), "perf script: {}", String::from_utf8_lossy(&output.stderr));
    Ok(parse(&String::from_utf8_lossy(&output.stdout), &format!("({})", program.display())))
}

/// Samples are blocks of lines, innermost function first: address, name, file in brackets. Addresses
/// outside of the kernel are offsets in the file.
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
    if is_kernel(innermost) {
        let in_kernel = frames.iter().take_while(|(address, _)| is_kernel(*address));
        return Some(Sample::Kernel(of_kernel(in_kernel.map(|(_, name)| *name))));
    }
    Some(match name.strip_suffix(program) {
        Some(function) => Sample::Program(innermost, function.trim_end().to_owned()),
        None => Sample::Library(of_library(name)),
    })
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
            Sample::Kernel("kernel: network"),
            Sample::Program(0x55aa20, "engine::step".to_owned()),
            Sample::Library("allocation"),
            Sample::Kernel("kernel: the rest"),
        ];
        assert_eq!(parse(text, "(/p)"), wanted);
    }
}
