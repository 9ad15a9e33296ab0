//! Withdrawals in two steps: each step once, whatever is repeated, lost or restarted.

mod cluster;

use cluster::world::{
    BTC, USDT, USERS, create_user, deposit, end_withdrawal, limit, request, withdraw, world,
    world_with,
};
use cluster::{Cluster, Disk, Rng, for_seeds};
use engine::{
    BalanceReason, Command, Event, ImageError, MAX_PENDING_WITHDRAWALS, Piece, Query, Refusal,
    Reply, Restore, WithdrawalRequest, WithdrawalView,
};
use money::{AssetId, ShardId, Side, UserId, WithdrawalStatus};

const ALICE: UserId = USERS[1];
const BOB: UserId = USERS[2];

/// Two users with 100 USDT each.
fn bank(shards: u16, disk: Disk) -> Cluster {
    let mut cluster = world_with(shards, 1, disk, 0);
    for user in [ALICE, BOB] {
        cluster.call(deposit(user, USDT, 100, "in"));
    }
    cluster
}

#[track_caller]
fn view(reply: Reply) -> WithdrawalView {
    match reply {
        Reply::Withdrawal(view) => *view,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refusal(reply: Reply) -> Refusal {
    match reply {
        Reply::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

fn paid_out(cluster: &mut Cluster) -> u128 {
    cluster.prove()[USDT.0 as usize].totals.withdrawals
}

#[test]
fn what_is_asked_for_is_frozen_until_it_is_paid_out() {
    let mut cluster = bank(2, Disk::Slow);
    let asked = view(cluster.call(request(ALICE, USDT, 30, "w")));
    assert_eq!((asked.user, asked.asset, asked.amount), (ALICE, USDT, 30));
    assert_eq!(asked.destination.as_deref(), Some("somewhere"));
    assert_eq!((asked.status, asked.ended_at_ms), (WithdrawalStatus::Pending, None));
    assert_eq!(cluster.balance(ALICE, USDT), (70, 30));
    let refused = refusal(cluster.call(request(ALICE, USDT, 71, "x")));
    assert_eq!(refused, Refusal::InsufficientBalance { asset: USDT, needed: 71, avail: 70 });
    let ended = view(cluster.call(end_withdrawal(ALICE, "w", true)));
    assert_eq!(ended.status, WithdrawalStatus::Confirmed);
    assert_eq!(ended.requested_at_ms, asked.requested_at_ms);
    assert!(ended.ended_at_ms.expect("has ended") > ended.requested_at_ms);
    assert_eq!(cluster.balance(ALICE, USDT), (70, 0));
    assert_eq!(paid_out(&mut cluster), 30);
    cluster.audit();
}

#[test]
fn a_rejected_withdrawal_is_available_again() {
    let mut cluster = bank(2, Disk::Instant);
    cluster.call(request(ALICE, USDT, 100, "w"));
    assert_eq!(cluster.balance(ALICE, USDT), (0, 100));
    cluster.audit();
    let ended = view(cluster.call(end_withdrawal(ALICE, "w", false)));
    assert_eq!(ended.status, WithdrawalStatus::Rejected);
    assert_eq!((cluster.balance(ALICE, USDT), paid_out(&mut cluster)), ((100, 0), 0));
    cluster.audit();
}

#[test]
fn a_step_repeated_changes_nothing_and_answers_the_same() {
    let mut cluster = bank(2, Disk::Instant);
    let asked = view(cluster.call(request(ALICE, USDT, 30, "w")));
    assert_eq!(view(cluster.call(request(ALICE, USDT, 30, "w"))), asked);
    let ended = view(cluster.call(end_withdrawal(ALICE, "w", true)));
    assert_eq!(view(cluster.call(end_withdrawal(ALICE, "w", true))), ended);
    // Asked for again after its end: told where it stands now.
    assert_eq!(view(cluster.call(request(ALICE, USDT, 30, "w"))), ended);
    let opposite = refusal(cluster.call(end_withdrawal(ALICE, "w", false)));
    assert_eq!(opposite, Refusal::WithdrawalEnded(WithdrawalStatus::Confirmed));
    assert_eq!((cluster.balance(ALICE, USDT), paid_out(&mut cluster)), ((70, 0), 30));
    cluster.audit();
}

#[test]
fn a_ref_means_one_payment_of_its_user_whatever_the_kind() {
    let mut cluster = bank(2, Disk::Instant);
    cluster.call(withdraw(ALICE, USDT, 5, "out"));
    cluster.call(request(ALICE, USDT, 30, "w"));
    let elsewhere = Command::RequestWithdrawal(Box::new(WithdrawalRequest {
        user: ALICE,
        asset: USDT,
        amount: 30,
        reference: "w".into(),
        destination: Some("elsewhere".into()),
    }));
    for reused in [
        request(ALICE, USDT, 5, "in"),
        request(ALICE, USDT, 5, "out"),
        request(ALICE, USDT, 31, "w"),
        request(ALICE, BTC, 30, "w"),
        elsewhere,
        deposit(ALICE, USDT, 30, "w"),
        withdraw(ALICE, USDT, 30, "w"),
    ] {
        assert_eq!(refusal(cluster.call(reused.clone())), Refusal::ReferenceReused, "{reused:?}");
    }
    assert_eq!(cluster.balance(ALICE, USDT), (65, 30));
    // Another user's refs are its own.
    view(cluster.call(request(BOB, USDT, 30, "w")));
    for unknown in ["in", "out", "nowhere"] {
        let refused = refusal(cluster.call(end_withdrawal(ALICE, unknown, true)));
        assert_eq!(refused, Refusal::UnknownWithdrawal, "{unknown}");
    }
    cluster.audit();
}

#[test]
fn who_may_not_ask_is_refused_without_a_trace() {
    let mut cluster = bank(1, Disk::Instant);
    cluster.call(request(ALICE, USDT, 10, "w"));
    cluster.call(Command::FreezeUser { user: ALICE, frozen: true });
    let records = cluster.shards[0].journal.len();
    for (command, expected) in [
        (request(ALICE, USDT, 10, "x"), Refusal::UserFrozen),
        (request(UserId(99), USDT, 10, "x"), Refusal::UnknownUser),
        (request(BOB, AssetId(9), 10, "x"), Refusal::UnknownAsset),
        (end_withdrawal(UserId(99), "w", true), Refusal::UnknownUser),
        (
            request(BOB, BTC, 1, "x"),
            Refusal::InsufficientBalance { asset: BTC, needed: 1, avail: 0 },
        ),
    ] {
        assert_eq!(refusal(cluster.call(command)), expected);
    }
    assert_eq!(cluster.shards[0].journal.len(), records);
    // No empty balance is left behind.
    let Reply::Balances(balances) = cluster.query(Query::Balances { user: BOB }) else { panic!() };
    assert_eq!(balances.len(), 1);
    // The operator may end what a frozen user has asked for.
    view(cluster.call(end_withdrawal(ALICE, "w", true)));
}

#[test]
fn pending_withdrawals_of_a_user_are_bounded_and_ended_ones_are_not() {
    let mut cluster = world(1, 1, Disk::Instant);
    for number in 0..MAX_PENDING_WITHDRAWALS {
        view(cluster.call(request(ALICE, USDT, 1, &format!("w-{number}"))));
    }
    let more = request(ALICE, USDT, 1, "more");
    assert_eq!(refusal(cluster.call(more.clone())), Refusal::TooManyWithdrawals);
    // A repeated one is none more.
    view(cluster.call(request(ALICE, USDT, 1, "w-7")));
    view(cluster.call(request(BOB, USDT, 1, "w")));
    view(cluster.call(end_withdrawal(ALICE, "w-7", false)));
    view(cluster.call(more));
    cluster.audit();
}

#[test]
fn lists_show_the_newest_first_and_what_waits_longest_first() {
    let mut cluster = bank(2, Disk::Instant);
    // At home where ALICE is.
    let other = UserId(ALICE.0 + 2);
    cluster.call(deposit(other, USDT, 100, "in"));
    for (user, reference) in [(ALICE, "a"), (other, "x"), (ALICE, "b"), (ALICE, "c")] {
        cluster.call(request(user, USDT, 1, reference));
    }
    cluster.call(end_withdrawal(ALICE, "b", true));
    let list = |status, limit| -> Vec<String> {
        let rows = cluster.query(Query::Withdrawals { user: ALICE, status, limit });
        let Reply::Withdrawals(rows) = rows else { panic!() };
        rows.into_iter().map(|row| row.reference).collect()
    };
    assert_eq!(list(None, 10), ["c", "b", "a"]);
    assert_eq!(list(None, 2), ["c", "b"]);
    assert_eq!(list(Some(WithdrawalStatus::Pending), 10), ["c", "a"]);
    assert_eq!(list(Some(WithdrawalStatus::Confirmed), 10), ["b"]);
    let home = cluster.placement.home_of(ALICE);
    let pending = |limit| -> Vec<String> {
        let Reply::Withdrawals(rows) =
            cluster.query(Query::PendingWithdrawals { shard: home, limit })
        else {
            panic!()
        };
        rows.into_iter().map(|row| row.reference).collect()
    };
    assert_eq!(pending(10), ["a", "x", "c"]);
    assert_eq!(pending(1), ["a"]);
    let unknown = Query::Withdrawals { user: UserId(99), status: None, limit: 1 };
    assert_eq!(cluster.query(unknown), Reply::Refused(Refusal::UnknownUser));
}

#[test]
fn whoever_watches_hears_of_every_step() {
    let mut cluster = bank(1, Disk::None);
    cluster.watch_all();
    let heard = |cluster: &mut Cluster, command| {
        cluster.events.clear();
        cluster.call(command);
        let events = std::mem::take(&mut cluster.events).into_iter();
        let balances = events.map(|event| match event {
            Event::Balance { user, asset, avail, frozen, avail_before, reason } => {
                assert_eq!((user, asset), (ALICE, USDT));
                assert_eq!(reason, BalanceReason::Withdrawal);
                (avail_before, avail, frozen)
            }
            other => panic!("{other:?}"),
        });
        balances.collect::<Vec<_>>()
    };
    assert_eq!(heard(&mut cluster, request(ALICE, USDT, 30, "a")), [(100, 70, 30)]);
    assert_eq!(heard(&mut cluster, request(ALICE, USDT, 30, "a")), []);
    assert_eq!(heard(&mut cluster, request(ALICE, USDT, 20, "b")), [(70, 50, 50)]);
    assert_eq!(heard(&mut cluster, end_withdrawal(ALICE, "a", true)), [(50, 50, 20)]);
    assert_eq!(heard(&mut cluster, end_withdrawal(ALICE, "a", true)), []);
    assert_eq!(heard(&mut cluster, end_withdrawal(ALICE, "b", false)), [(50, 70, 0)]);
}

#[test]
fn orders_and_withdrawals_freeze_the_same_balance_together() {
    let mut cluster = bank(2, Disk::Slow);
    cluster.place(limit(ALICE, Side::Buy, 80_00, 10));
    let frozen = cluster.balance(ALICE, USDT).1;
    cluster.call(request(ALICE, USDT, 20, "w"));
    assert_eq!(cluster.balance(ALICE, USDT).1, frozen + 20);
    cluster.audit();
    cluster.crash();
    cluster.settle();
    cluster.audit();
    cluster.call(Command::CancelUser { user: ALICE, symbol: None });
    assert_eq!(cluster.balance(ALICE, USDT), (80, 20));
}

#[test]
fn nothing_is_paid_twice_or_lost_through_crashes_and_changes_of_the_shard_count() {
    for_seeds("nothing_is_paid_twice", 20, |seed| {
        let mut cluster = bank(3, Disk::Slow);
        let mut rng = Rng::new(seed);
        // What was answered: by user and number.
        let mut known: Vec<(UserId, u64, Option<u64>, Option<WithdrawalView>)> = Vec::new();
        for round in 0..150u64 {
            let user = rng.pick(&[ALICE, BOB]);
            let number = rng.below(20);
            let reference = format!("w-{number}");
            let amount = 1 + u128::from(number);
            let token = cluster.submit(match rng.below(4) {
                0 | 1 => request(user, USDT, amount, &reference),
                2 => end_withdrawal(user, &reference, true),
                _ => end_withdrawal(user, &reference, false),
            });
            known.push((user, number, Some(token), None));
            for _ in 0..rng.below(4) {
                cluster.act();
            }
            for (_, _, token, view) in &mut known {
                let Some(reply) = token.and_then(|token| cluster.replies.remove(&token)) else {
                    continue;
                };
                *token = None;
                if let Reply::Withdrawal(told) = reply {
                    *view = Some(*told);
                }
            }
            if rng.chance(4) {
                cluster.crash();
                known.iter_mut().for_each(|(_, _, token, _)| *token = None);
            } else if round % 50 == 49 {
                cluster.settle();
                let shards = 1 + rng.below(4) as u16;
                cluster.reshard(shards);
                known.iter_mut().for_each(|(_, _, token, _)| *token = None);
            }
        }
        cluster.settle();
        cluster.audit();
        let mut confirmed = 0;
        for user in [ALICE, BOB] {
            let views = cluster.withdrawals(user, None);
            for (_, number, _, told) in known.iter().filter(|(of, ..)| *of == user) {
                let Some(told) = told else { continue };
                let reference = format!("w-{number}");
                let now = views.iter().find(|view| view.reference == reference);
                let now = now.expect("was acknowledged");
                if told.status == WithdrawalStatus::Pending {
                    assert_eq!(now.requested_at_ms, told.requested_at_ms);
                } else {
                    assert_eq!(now, told, "ended once");
                }
            }
            let paid = views.iter().filter(|view| view.status == WithdrawalStatus::Confirmed);
            let out: u128 = paid.map(|view| view.amount).sum();
            let (avail, frozen) = cluster.balance(user, USDT);
            assert_eq!(avail + frozen + out, 100);
            confirmed += out;
        }
        assert_eq!(paid_out(&mut cluster), confirmed);
    });
}

#[test]
fn an_image_that_no_shard_could_have_made_is_refused() {
    let mut cluster = bank(1, Disk::Instant);
    cluster.call(create_user(UserId(50)));
    cluster.call(request(ALICE, USDT, 30, "w"));
    cluster.call(request(ALICE, USDT, 20, "v"));
    cluster.call(end_withdrawal(ALICE, "v", true));
    let engine = &cluster.shards[0].engine;
    type Change = fn(&mut Vec<WithdrawalView>);
    let restore = |change: Change| {
        let config = engine::EngineConfig { shard: ShardId(0), shards: 1, hash_seed: 1 };
        let mut restore = Restore::new(config);
        for piece in engine.image() {
            let piece = match piece {
                Piece::Withdrawals(mut rows) => {
                    change(&mut rows);
                    Piece::Withdrawals(rows)
                }
                other => other,
            };
            restore.piece(piece)?;
        }
        restore.finish().map(|_| ())
    };
    assert_eq!(restore(|_| ()), Ok(()));
    let frozen = |held| ImageError::Frozen { user: ALICE, asset: USDT, frozen: 30, held };
    let cases: [(Change, ImageError); 6] = [
        (|rows| rows.clear(), frozen(0)),
        (|rows| rows[0].amount = 31, frozen(31)),
        (|rows| rows[1].reference = "w".into(), ImageError::Withdrawal(ALICE)),
        (|rows| rows[1].reference = "in".into(), ImageError::Withdrawal(ALICE)),
        (|rows| rows[0].ended_at_ms = Some(1), ImageError::Withdrawal(ALICE)),
        (|rows| rows[0].user = UserId(51), ImageError::User(UserId(51))),
    ];
    for (at, (change, expected)) in cases.into_iter().enumerate() {
        assert_eq!(restore(change), Err(expected), "case {at}");
    }
}
