//! What the journal's tests share: inputs, a small configuration, the steps of an owner.
#![allow(dead_code)] // Each test program uses its own part.

pub mod mem_disk;
pub mod model;

use std::convert::Infallible;

use engine::{Command, Fill, Input, Message, OrderRef, PeerBatch, Piece, Place, Submit, Transfer};
use journal::{
    Disk, Durable, Journal, JournalConfig, JournalError, Lsn, RecoverError, Recovery, Replay,
    SnapshotHead, block_on, recover,
};
use money::{
    AssetId, Cid, Lots, OrderId, OrderKind, Price, Role, SelfTrade, ShardId, Side, SymbolId,
    TimeInForce, TradeId, UserId,
};

/// Time of every start in the tests.
pub const NOW_MS: u64 = 1_700_000_000_000;

/// A journal that switches segments after a few batches.
pub fn small_config() -> JournalConfig {
    JournalConfig {
        segment_bytes: 6 * 4096,
        first_segment_bytes: 4 * 4096,
        batch_bytes: 3 * 4096,
        reserve_bytes: 4096,
        ..JournalConfig::new(ShardId(1), 3)
    }
}

/// A typical order.
pub fn place(number: u64) -> Input {
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
        quote_qty: number.is_multiple_of(5).then_some(u128::from(number) << 70),
        cid: Cid::parse(&format!("cid-{number}")).ok(),
    }))
}

/// Messages of another shard, some of each size.
pub fn peer(number: u64, messages: usize) -> Input {
    let message = |index: u64| match (number + index) % 3 {
        0 => Message::Submit(Submit {
            ticket: number,
            order: OrderId(index),
            user: UserId(9),
            symbol: SymbolId(1),
            side: Side::Sell,
            time_in_force: TimeInForce::Ioc,
            self_trade: SelfTrade::ExpireBoth,
            post_only: false,
            market: true,
            wait: true,
            price: Price(5),
            qty: Lots(number),
            budget: Some(u128::MAX),
        }),
        1 => Message::Fill(Fill {
            order: OrderId(index),
            symbol: SymbolId(2),
            trade: TradeId(number),
            price: Price(6),
            qty: Lots(7),
            side: Side::Buy,
            role: Role::Maker,
            fee_ppm: 100,
            at_ms: NOW_MS,
        }),
        _ => Message::ProbeDone { ticket: number },
    };
    Input::Peer(PeerBatch {
        source: ShardId(2),
        first_sequence: number,
        confirmed: number / 2,
        messages: (0..messages as u64).map(message).collect(),
    })
}

/// Inputs of every shape, the same for the same number.
pub fn input(number: u64) -> Input {
    match number % 6 {
        0 | 1 => place(number),
        2 => Input::Command(Command::Cancel {
            user: UserId(number),
            order: OrderRef::Cid(Cid::parse("x").unwrap()),
        }),
        3 => Input::Command(Command::Deposit(Transfer {
            user: UserId(number),
            asset: AssetId(3),
            amount: u128::from(number) << 64,
            reference: "r".repeat((number % 64) as usize),
        })),
        4 => peer(number, (number % 40) as usize),
        _ => Input::Command(Command::Prove),
    }
}

/// The time that goes with [`input`].
pub fn time_of(number: u64) -> u64 {
    NOW_MS + number
}

/// Appends `count` of [`input`], numbered by their LSN.
pub fn append<D: Disk>(journal: &mut Journal<D>, count: u64) {
    for _ in 0..count {
        let number = journal.last().0 + 1;
        assert_eq!(journal.append(time_of(number), &input(number)).unwrap(), Lsn(number));
    }
}

/// Appends and commits `count` records, a few at a time.
pub fn append_committed<D: Disk>(journal: &mut Journal<D>, count: u64) {
    let end = journal.last().0 + count;
    while journal.last().0 < end {
        append(journal, (end - journal.last().0).min(8));
        commit(journal).unwrap();
    }
}

/// Makes all segments that are wanted.
pub fn prepare<D: Disk>(journal: &mut Journal<D>, now_ms: u64) -> Result<(), JournalError> {
    while let Some(preparation) = journal.preparation(now_ms) {
        let prepared = block_on(preparation.run());
        journal.complete_preparation(prepared)?;
        if journal.no_space() {
            break;
        }
    }
    Ok(())
}

/// Writes everything that has gathered, with segments made as needed.
pub fn commit<D: Disk>(journal: &mut Journal<D>) -> Result<Durable, JournalError> {
    loop {
        prepare(journal, NOW_MS)?;
        let Some(batch) = journal.take_batch() else { return Ok(journal.durable()) };
        let written = block_on(batch.write());
        journal.complete(written)?;
    }
}

/// A recovered journal, what was replayed (LSN, time, input), and the report.
pub type Replayed<D> = (Journal<D>, Vec<(Lsn, u64, Input)>, Recovery);

/// Collects the records; takes any snapshot for empty.
#[derive(Default)]
pub struct Records(pub Vec<(Lsn, u64, Input)>);

impl Replay for Records {
    type Error = Infallible;

    fn begin(&mut self, _: &SnapshotHead) {}

    fn piece(&mut self, _: Piece) -> Result<(), Infallible> {
        Ok(())
    }

    fn loaded(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn empty(&mut self) {}

    fn record(&mut self, lsn: Lsn, time_ms: u64, input: Input) -> Result<(), Infallible> {
        self.0.push((lsn, time_ms, input));
        Ok(())
    }
}

/// Recovers and collects all records.
pub fn replay<D: Disk>(
    disk: &D,
    config: &JournalConfig,
) -> Result<Replayed<D>, RecoverError<Infallible>> {
    let mut records = Records::default();
    let recovered = block_on(recover(disk.clone(), config.clone(), NOW_MS, &mut records))?;
    Ok((recovered.journal, records.0, recovered.report))
}

/// Fails unless the records are those of [`append`], from 1 without gaps. Returns the last.
pub fn check_prefix(records: &[(Lsn, u64, Input)]) -> u64 {
    for (index, (lsn, time_ms, read)) in records.iter().enumerate() {
        let number = index as u64 + 1;
        assert_eq!((*lsn, *time_ms), (Lsn(number), time_of(number)));
        assert_eq!(read, &input(number), "record {number} was misread");
    }
    records.len() as u64
}
