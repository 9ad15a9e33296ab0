//! How long a durable direct write takes: `O_DSYNC` against `fdatasync`, into a file full of zeros
//! and into one only allocated.
//!
//! `cargo run --release -p ringbook-runtime --example measure_disk -- DIRECTORY [WRITES]`

use hdrhistogram::Histogram;
use journal::{Disk, DiskBuffer, DiskFile};
use runtime::cores::ShardPlacement;
use runtime::disk::{DirectDisk, DirectDiskConfig, Durability};
use runtime::executor::ExecutorSettings;
use std::time::Instant;

const FILE_BYTES: u64 = 64 * 1024 * 1024;
const WRITE_SIZES_BYTES: [usize; 4] = [4 * 1024, 16 * 1024, 64 * 1024, 512 * 1024];

async fn measure(directory: String, config: DirectDiskConfig, bytes: usize, writes: u64) {
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
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().expect("the first argument is a directory on a disk");
    let writes: u64 = arguments.next().map_or(2_000, |text| text.parse().unwrap());
    let placement = ShardPlacement::decide(None, Some(1)).unwrap();
    let run = move || async move {
        for bytes in WRITE_SIZES_BYTES {
            // Not beyond the file: a second pass would find the extents of an allocated file
            // converted by the first.
            let writes = writes.min(FILE_BYTES / bytes as u64);
            for zero_fill in [true, false] {
                for durability in [Durability::EachWrite, Durability::Sync] {
                    let config = DirectDiskConfig { durability, zero_fill, allow_memory: true };
                    measure(directory.clone(), config, bytes, writes).await;
                }
            }
        }
    };
    ExecutorSettings::default().start(&placement, 0, run).unwrap().join().unwrap();
}
