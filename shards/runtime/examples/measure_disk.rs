//! How long a durable direct write takes: `O_DSYNC` against `fdatasync`, into a file full of zeros
//! and into one only allocated.
//!
//! `cargo run --release -p ringbook-runtime --example measure_disk -- DIRECTORY [WRITES]
//! [--quick] [--json FILE]`

use hdrhistogram::Histogram;
use journal::{Disk, DiskBuffer, DiskFile};
use runtime::cores::ShardPlacement;
use runtime::disk::{DirectDisk, DirectDiskConfig, Durability};
use runtime::executor::ExecutorSettings;
use std::path::Path;
use std::time::Instant;
use suite::{Better, Figure, write_figures};

const FILE_BYTES: u64 = 64 * 1024 * 1024;
const WRITE_SIZES_BYTES: [usize; 4] = [4 * 1024, 16 * 1024, 64 * 1024, 512 * 1024];

const ROUNDS: usize = 3;

/// Returns the median and the 99th percentile, in µs.
async fn measure(
    directory: String,
    config: DirectDiskConfig,
    bytes: usize,
    writes: u64,
) -> [f64; 2] {
    let disk = DirectDisk::open(directory, config).unwrap();
    let name = "measure-disk.tmp";
    let _ = disk.remove(name).await;
    let file = disk.create(name, FILE_BYTES).await.unwrap();
    file.sync().await.unwrap();
    let mut buffer = disk.buffer(bytes);
    buffer.bytes_mut().fill(0xA5);
    let mut times_ns = Histogram::<u64>::new(3).unwrap();
    for number in 0..writes {
        let offset = number * bytes as u64 % FILE_BYTES;
        let start = Instant::now();
        let (back, written) = file.write_at(buffer, bytes, offset).await;
        assert_eq!(written.unwrap(), bytes);
        file.sync().await.unwrap();
        times_ns.record(start.elapsed().as_nanos() as u64).unwrap();
        buffer = back;
    }
    disk.remove(name).await.unwrap();
    let at = |quantile| times_ns.value_at_quantile(quantile) as f64 / 1e3;
    println!(
        "{:>7} KiB  {:<9}  {:<9}  p50 {:>7.1} µs  p90 {:>7.1} µs  p99 {:>7.1} µs  max {:>8.1} µs",
        bytes / 1024,
        format!("{:?}", config.durability),
        if config.zero_fill { "zeroed" } else { "allocated" },
        at(0.5),
        at(0.9),
        at(0.99),
        times_ns.max() as f64 / 1e3,
    );
    [at(0.5), at(0.99)]
}

/// `O_DSYNC` beside `fdatasync`, into files of zeros.
fn figures(bytes: usize, [each_write, sync]: [Vec<[f64; 2]>; 2]) -> [Figure; 2] {
    let kib = bytes / 1024;
    ["p50", "p99"].map(|name| {
        let column = |rounds: &[[f64; 2]]| {
            rounds.iter().map(|round| round[usize::from(name == "p99")]).collect()
        };
        let (row, title) = (format!("disk/{kib}/{name}"), format!("{kib} KiB, O_DSYNC, {name}"));
        Figure::new(&row, &title, "µs", Better::Lower, column(&each_write))
            .beside("fdatasync", column(&sync))
            .from(
                "O_DIRECT into a file of zeros, one write at a time",
                "cargo run --release -p ringbook-runtime --example measure_disk -- DIRECTORY",
            )
    })
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let json = words.iter().position(|word| word == "--json").map(|at| words[at + 1].clone());
    let is_quick = words.iter().any(|word| word == "--quick");
    let directory = words.first().expect("the first argument is a directory on a disk").clone();
    let writes = words.get(1).and_then(|word| word.parse().ok());
    let writes: u64 = writes.unwrap_or(if is_quick { 200 } else { 2_000 });
    let placement = ShardPlacement::decide(None, Some(1)).unwrap();
    let run = move || async move {
        let mut all = Vec::new();
        // The smallest and the next but one where it must be quick.
        for bytes in WRITE_SIZES_BYTES.into_iter().step_by(if is_quick { 2 } else { 1 }) {
            // Not beyond the file: a second pass would find the extents of an allocated file
            // converted by the first.
            let writes = writes.min(FILE_BYTES / bytes as u64);
            let mut zeroed = [Vec::new(), Vec::new()];
            for round in 0..if is_quick { 1 } else { ROUNDS } {
                for zero_fill in
                    [true, false].into_iter().take(if round == 0 && !is_quick { 2 } else { 1 })
                {
                    for (at, durability) in
                        [Durability::EachWrite, Durability::Sync].into_iter().enumerate()
                    {
                        let config = DirectDiskConfig { durability, zero_fill, allow_memory: true };
                        let times = measure(directory.clone(), config, bytes, writes).await;
                        if zero_fill {
                            zeroed[at].push(times);
                        }
                    }
                }
            }
            all.extend(figures(bytes, zeroed));
        }
        if let Some(json) = json {
            write_figures(Path::new(&json), &all).unwrap();
        }
    };
    ExecutorSettings::default().start(&placement, 0, run).unwrap().join().unwrap();
}
