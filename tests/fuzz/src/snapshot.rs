//! Bytes as a snapshot file: read, restored into an engine, and used at a start.
//!
//! Promises: no panic anywhere, whatever the pieces say; every reader says the same of one file; an
//! engine that was restored has an image, and that image makes the same engine and the same image
//! again; what a start takes once it takes twice.

use std::convert::Infallible;

use engine::{Engine, EngineConfig, ImageError, Input, OrderFilter, Piece, Query, Restore};
use journal::{
    BLOCK_BYTES, Identity, JournalConfig, Lsn, Replay, SnapshotHead, SnapshotWriter, block_on,
    list_snapshots, read_snapshot, recover, verify_snapshot,
};
use money::{Placement, ShardId, Side, SymbolId, TradeId};

use crate::mem_disk::MemDisk;
use crate::records::NOW_MS;
use crate::rkyv_bytes::decode_any;
use crate::snapshot_file::{self, SnapshotBytes};

/// Whose snapshots are taken at a start.
const IDENTITY: Identity = Identity { shard: ShardId(0), shards: snapshot_file::SHARDS };

/// Takes the bytes for a snapshot file, in the notation of [`snapshot_file`].
pub fn run(data: &[u8]) {
    let snapshot = snapshot_file::read(data);
    read(&snapshot);
    let pieces: Vec<Piece> = snapshot.pieces.iter().copied().filter_map(decode_any).collect();
    if let Ok(engine) = restore(&pieces, config_of(&pieces)) {
        check_engine(&engine, snapshot.lsn);
    }
}

/// The file, through everything that reads one.
fn read(snapshot: &SnapshotBytes<'_>) {
    let name = snapshot_file::name(snapshot.lsn);
    let disk = MemDisk::with_files([(name.clone(), snapshot.bytes.clone())]);
    let files = disk.files();
    let listed = block_on(list_snapshots(&disk)).expect("the disk has no faults");
    let verified = block_on(verify_snapshot(&disk, &name));
    let mut pieces = Vec::new();
    let read = block_on(read_snapshot(&disk, &name, None, &mut |piece| {
        pieces.push(piece);
        Ok::<(), Infallible>(())
    }));
    assert!(disk.files() == files, "a reader wrote");
    assert_eq!(read.is_ok(), verified.is_ok(), "two readers differ");
    if let Ok(verified) = &verified {
        assert_eq!(verified.pieces, pieces.len() as u64);
        assert_eq!(verified.bytes, snapshot.bytes.len() as u64);
        assert_eq!(listed[0].head.as_ref(), Some(&verified.head));
    }
    start(&disk, verified.is_ok());
}

/// A start with nothing but this snapshot.
fn start(disk: &MemDisk, is_whole: bool) {
    let config = JournalConfig {
        segment_bytes: 4 * BLOCK_BYTES as u64,
        first_segment_bytes: 4 * BLOCK_BYTES as u64,
        batch_bytes: 2 * BLOCK_BYTES,
        ..JournalConfig::new(IDENTITY.shard, IDENTITY.shards)
    };
    let mut shard = Starting::default();
    let Ok(first) = block_on(recover(disk.clone(), config.clone(), NOW_MS, &mut shard)) else {
        return;
    };
    assert_eq!(first.report.snapshot.is_some(), is_whole, "a damaged snapshot was used");
    let mut again = Starting::default();
    let second = block_on(recover(disk.clone(), config, NOW_MS, &mut again));
    let second = second.unwrap_or_else(|error| panic!("started once, not twice: {error}"));
    assert_eq!(second.report.snapshot, first.report.snapshot);
    assert_eq!(image(&again.engine), image(&shard.engine));
}

/// A shard that is being rebuilt.
#[derive(Default)]
struct Starting {
    restore: Option<Restore>,
    engine: Option<Engine>,
}

fn image(engine: &Option<Engine>) -> Option<Vec<Piece>> {
    engine.as_ref().map(|engine| engine.image().collect())
}

impl Replay for Starting {
    type Error = ImageError;

    fn begin(&mut self, head: &SnapshotHead) {
        self.restore = Some(Restore::new(config(head.shard, head.shards)));
    }

    fn piece(&mut self, piece: Piece) -> Result<(), ImageError> {
        self.restore.as_mut().expect("begun").piece(piece)
    }

    fn loaded(&mut self) -> Result<(), ImageError> {
        self.engine = Some(self.restore.take().expect("begun").finish()?);
        Ok(())
    }

    fn empty(&mut self) {
        (self.restore, self.engine) = (None, None);
    }

    fn record(&mut self, _: Lsn, _: u64, _: Input) -> Result<(), ImageError> {
        panic!("there are no records")
    }
}

fn config(shard: ShardId, shards: u16) -> EngineConfig {
    EngineConfig { shard, shards, hash_seed: 7 }
}

/// What the counters name, if a shard could be that.
fn config_of(pieces: &[Piece]) -> EngineConfig {
    let named = pieces.iter().find_map(|piece| match piece {
        Piece::Counters(counters) => Some((counters.shard, counters.shards)),
        _ => None,
    });
    match named {
        Some((shard, shards)) if shard.0 < shards && shards <= 16 => config(shard, shards),
        _ => config(IDENTITY.shard, IDENTITY.shards),
    }
}

fn restore(pieces: &[Piece], config: EngineConfig) -> Result<Engine, ImageError> {
    let mut restore = Restore::new(config);
    for piece in pieces {
        restore.piece(piece.clone())?;
    }
    restore.finish()
}

/// Takes the image of an engine, restores it, writes it and reads it.
fn check_engine(engine: &Engine, lsn: u64) {
    let image: Vec<Piece> = engine.image().collect();
    let config = config(engine.shard(), engine.placement().shards());
    let again = restore(&image, config).expect("an engine's own image");
    assert!(again.image().eq(image.iter().cloned()), "the image of an image differs");
    ask(engine, &again);
    let disk = MemDisk::default();
    let head = SnapshotHead {
        shard: engine.shard(),
        shards: engine.placement().shards(),
        lsn: Lsn(lsn),
        state_hash: engine.state_hash(),
        time_ms: engine.now_ms(),
        created_ms: NOW_MS,
    };
    let file = block_on(async {
        let mut writer = SnapshotWriter::begin(disk.clone(), head).await?;
        for piece in &image {
            writer.piece(piece).await?;
        }
        writer.finish().await
    });
    let file = file.expect("the disk has no faults");
    assert_eq!(block_on(verify_snapshot(&disk, &file.name)).ok(), Some(file.clone()));
    let mut read = Vec::new();
    let result = block_on(read_snapshot(&disk, &file.name, None, &mut |piece| {
        read.push(piece);
        Ok::<(), Infallible>(())
    }));
    assert_eq!(result.ok(), Some(file));
    assert!(read == image, "what was written is not what is read");
}

/// Both engines, all that may be asked.
fn ask(engine: &Engine, again: &Engine) {
    const LIMIT: usize = 50;
    let status = Query::Status { shard: engine.shard() };
    let placement: Placement = engine.placement();
    let users =
        users_of(engine).into_iter().filter(|&user| placement.home_of(user) == engine.shard());
    let of_users = users.flat_map(|user| {
        let filters = [OrderFilter::Open, OrderFilter::Ended];
        let orders = filters.map(|filter| Query::Orders {
            user,
            symbol: None,
            filter,
            before: None,
            limit: LIMIT,
        });
        let trades = Query::Trades { user, symbol: None, before: None, limit: LIMIT };
        orders.into_iter().chain([trades, Query::Balances { user }])
    });
    let symbols = (0..engine.registry().symbols().len() as u32).map(SymbolId);
    let of_symbols = symbols.clone().flat_map(|symbol| {
        let book = [Side::Buy, Side::Sell].map(|side| Query::Book {
            symbol,
            side,
            after: None,
            limit: LIMIT,
        });
        book.into_iter().chain([
            Query::Depth { symbol, limit: LIMIT },
            Query::PublicTrades { symbol, limit: LIMIT },
            Query::Tape { symbol, after: TradeId(1), limit: LIMIT },
            Query::Ticker { symbol },
        ])
    });
    // Of the intervals that have any.
    let intervals = engine.image().filter_map(|piece| match piece {
        Piece::Candles(interval, _) => Some(interval),
        _ => None,
    });
    let candles = intervals.flat_map(|interval| {
        let all = move |symbol| Query::Klines {
            symbol,
            interval,
            start_ms: 0,
            end_ms: u64::MAX,
            limit: LIMIT,
        };
        symbols.clone().map(all)
    });
    for query in std::iter::once(status).chain(of_users).chain(of_symbols).chain(candles) {
        assert_eq!(engine.query(&query), again.query(&query), "{query:?}");
    }
}

fn users_of(engine: &Engine) -> Vec<money::UserId> {
    let mut users = Vec::new();
    for piece in engine.image() {
        if let Piece::People(people) = piece {
            users.extend(people.iter().map(|person| person.user));
        }
    }
    users
}
