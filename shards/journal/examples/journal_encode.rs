//! Measures the parts of the journal that cost a core's time: append, seal, decode.
//!
//! ```text
//! cargo run --release -p ringbook-journal --example journal_encode
//! ```

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use engine::{Command, Input, Piece, Place};
use journal::{
    Disk, Journal, JournalConfig, Lsn, Replay, SnapshotHead, StdDisk, block_on, encoded_length,
    recover, verify,
};
use money::{Cid, Lots, OrderKind, Price, SelfTrade, ShardId, Side, SymbolId, TimeInForce, UserId};

const RECORDS: usize = 2_000_000;
const RECORDS_PER_BATCH: usize = 64;

fn place(number: u64, cid: bool) -> Input {
    Input::Command(Command::Place(Place {
        user: UserId(number % 1_000),
        symbol: SymbolId((number % 7) as u32),
        side: if number.is_multiple_of(2) { Side::Buy } else { Side::Sell },
        kind: OrderKind::Limit,
        time_in_force: TimeInForce::Gtc,
        self_trade: SelfTrade::None,
        wait: false,
        price: Price(100_000 + number % 512),
        qty: Lots(1 + number % 99),
        quote_qty: None,
        cid: cid.then(|| Cid::parse(&format!("bot-{number}")).ok()).flatten(),
    }))
}

/// Nanoseconds of each step per record.
#[derive(Default)]
struct Spent {
    append: Duration,
    seal: Duration,
    write: Duration,
    prepare: Duration,
}

fn run<D: Disk>(journal: &mut Journal<D>, inputs: &[Input]) -> Spent {
    let mut spent = Spent::default();
    let mut done = 0;
    while done < RECORDS {
        let start = Instant::now();
        if let Some(preparation) = journal.preparation(0) {
            let prepared = block_on(preparation.run());
            journal.complete_preparation(prepared).expect("the disk works");
        }
        let prepared = Instant::now();
        for input in inputs.iter().cycle().skip(done % inputs.len()).take(RECORDS_PER_BATCH) {
            black_box(journal.append(1_700_000_000_000, input).expect("room"));
        }
        let appended = Instant::now();
        let batch = journal.take_batch().expect("records have gathered");
        let sealed = Instant::now();
        let written = block_on(batch.write());
        journal.complete(written).expect("the disk works");
        spent.prepare += prepared - start;
        spent.append += appended - prepared;
        spent.seal += sealed - appended;
        spent.write += sealed.elapsed();
        done += RECORDS_PER_BATCH;
    }
    spent
}

fn per_record(spent: Duration) -> f64 {
    spent.as_nanos() as f64 / RECORDS as f64
}

/// Replays into nothing.
#[derive(Default)]
struct Count(u64);

impl Replay for Count {
    type Error = std::convert::Infallible;

    fn begin(&mut self, _: &SnapshotHead) {}

    fn piece(&mut self, _: Piece) -> Result<(), Self::Error> {
        Ok(())
    }

    fn loaded(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }

    fn empty(&mut self) {}

    fn record(&mut self, _: Lsn, _: u64, input: Input) -> Result<(), Self::Error> {
        black_box(&input);
        self.0 += 1;
        Ok(())
    }
}

fn measure(directory: &Path, cid: bool) {
    let _ = std::fs::remove_dir_all(directory);
    std::fs::create_dir_all(directory).expect("a writable directory");
    let disk = NoSync(StdDisk::new(directory));
    let config = JournalConfig::new(ShardId(0), 1);
    let inputs: Vec<_> = (0..4_096).map(|number| place(number, cid)).collect();
    println!("-- Place {} a cid: {} bytes", ["without", "with"][usize::from(cid)], {
        encoded_length(&inputs[1])
    });
    let opened = block_on(recover(disk.clone(), config.clone(), 0, &mut Count::default()));
    let mut journal = opened.expect("a new journal").journal;
    let spent = run(&mut journal, &inputs);
    println!("append  {:6.1} ns per record", per_record(spent.append));
    println!("seal    {:6.1} ns per record (copy, CRC, chain)", per_record(spent.seal));
    println!("write   {:6.1} ns per record (page cache, no sync)", per_record(spent.write));
    drop(journal);
    let start = Instant::now();
    let mut count = Count::default();
    let replayed = block_on(recover(disk.clone(), config, 0, &mut count));
    replayed.expect("what was written");
    let seconds = start.elapsed().as_secs_f64();
    println!("recover {:6.2} million records/s (page cache)", count.0 as f64 / seconds / 1e6);
    let start = Instant::now();
    let verified = block_on(verify(&disk)).expect("what was written");
    let seconds = start.elapsed().as_secs_f64();
    println!("verify  {:6.2} million records/s", verified.records as f64 / seconds / 1e6);
    decode_alone(&inputs);
    std::fs::remove_dir_all(directory).expect("its own directory");
}

fn decode_alone(inputs: &[Input]) {
    // The payload as it lies in a batch, at any alignment.
    let disk_bytes: Vec<Vec<u8>> = inputs.iter().map(payload).collect();
    let start = Instant::now();
    let mut count = 0u64;
    while count < RECORDS as u64 {
        for bytes in &disk_bytes {
            black_box(journal::decode(black_box(bytes)).expect("what was encoded"));
        }
        count += disk_bytes.len() as u64;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("decode  {:6.2} million records/s (checked, one core)", count as f64 / seconds / 1e6);
}

fn payload(input: &Input) -> Vec<u8> {
    rkyv::api::high::to_bytes::<rkyv::rancor::Failure>(input).expect("encodes").to_vec()
}

/// The plain disk without its syncs: this program measures the core, not the device.
#[derive(Clone)]
struct NoSync(StdDisk);

struct NoSyncFile(journal::StdFile);

impl Disk for NoSync {
    type File = NoSyncFile;
    type Buffer = journal::StdBuffer;

    fn buffer(&self, length: usize) -> journal::StdBuffer {
        self.0.buffer(length)
    }
    async fn list(&self) -> std::io::Result<Vec<String>> {
        self.0.list().await
    }
    async fn create(&self, name: &str, length: u64) -> std::io::Result<NoSyncFile> {
        self.0.create(name, length).await.map(NoSyncFile)
    }
    async fn open(&self, name: &str) -> std::io::Result<NoSyncFile> {
        self.0.open(name).await.map(NoSyncFile)
    }
    async fn rename(&self, from: &str, to: &str) -> std::io::Result<()> {
        self.0.rename(from, to).await
    }
    async fn remove(&self, name: &str) -> std::io::Result<()> {
        self.0.remove(name).await
    }
    async fn sync_directory(&self) -> std::io::Result<()> {
        Ok(())
    }
}

impl journal::DiskFile for NoSyncFile {
    type Buffer = journal::StdBuffer;

    async fn length(&self) -> std::io::Result<u64> {
        self.0.length().await
    }
    async fn read_at(&self, offset: u64, length: usize) -> std::io::Result<Vec<u8>> {
        self.0.read_at(offset, length).await
    }
    async fn write_at(
        &self,
        buffer: journal::StdBuffer,
        length: usize,
        offset: u64,
    ) -> (journal::StdBuffer, std::io::Result<usize>) {
        self.0.write_at(buffer, length, offset).await
    }
    async fn sync(&self) -> std::io::Result<()> {
        Ok(())
    }
}

fn main() {
    let directory = std::env::temp_dir().join(format!("journal-encode-{}", std::process::id()));
    for cid in [false, true] {
        measure(&directory, cid);
    }
}
