//! The oracle: the same journals through an exchange written a second time, as plainly as possible.
//!
//! Each shard's journal is followed by a [`NaiveShard`]: books are lists, a balance is a sum, what is
//! frozen is counted anew from the open orders whenever somebody asks. It shares with the engine only
//! the types and the rule that messages are numbered. Everything must be equal then: what each shard
//! told each other one, every order, trade, book and balance, to the last field.

mod arithmetic;
mod books;
mod home;
mod identities;
mod payments;
mod reshard;
mod shard;

use std::collections::BTreeMap;

use engine::{AssetProof, AssetTotals, Message, OrderView};
use money::{AssetId, OrderId, ShardId, Side, SymbolId, UserId};

use crate::clients::Clients;
use crate::view::Engines;
pub(crate) use reshard::reshard;
pub(crate) use shard::NaiveShard;

/// Panics unless the shards are what the oracle makes of their journals, wherever those end.
pub(crate) fn compare(clients: &Clients, engines: &Engines<'_>, oracle: &[&NaiveShard]) {
    compare_messages(oracle);
    for shard in oracle {
        compare_registry(shard, engines);
        for &user in &shard.users {
            compare_user(shard, user, engines);
        }
        for (&symbol, book) in &shard.books {
            assert_eq!(engines.tape(symbol), book.tape, "tape of symbol {symbol}");
            for &side in Side::ALL {
                let (real, naive) = (engines.book(symbol, side), book.orders(side));
                assert_eq!(real, naive, "book of symbol {symbol}, {side}");
            }
        }
    }
    for shard in oracle {
        let pending = engines.pending_withdrawals(shard.here);
        assert!(pending.iter().eq(shard.pending()), "pending on shard {}", shard.here);
        let mut users = shard.users.clone();
        users.sort_unstable();
        assert_eq!(engines.users(shard.here), users, "users of shard {}", shard.here);
        let real = engines.engines[usize::from(shard.here.0)].identities();
        shard.identities.compare(real, &format!("on shard {}", shard.here));
    }
    let known = |user: &UserId| oracle.iter().any(|shard| shard.users.contains(user));
    let there = |user: UserId| engines.balances(user).is_some();
    for trader in &clients.traders {
        assert_eq!(known(&trader.user), there(trader.user), "user {}", trader.user);
    }
}

/// As [`compare`], and besides that everything said was heard and the sums are the oracle's.
pub(crate) fn compare_at_rest(clients: &Clients, engines: &Engines<'_>, oracle: &[&NaiveShard]) {
    compare(clients, engines, oracle);
    for sender in oracle {
        for receiver in oracle.iter().filter(|receiver| receiver.here != sender.here) {
            let (from, to) = (sender.here, receiver.here);
            let (told, heard) = (&sender.told[to.0 as usize], &receiver.heard[from.0 as usize]);
            assert_eq!(told.len(), heard.len(), "messages from shard {from} to shard {to}");
        }
    }
    compare_proof(oracle, &clients.proof);
}

/// What one shard heard of another is what that one told it, up to some message.
fn compare_messages(oracle: &[&NaiveShard]) {
    for sender in oracle {
        for receiver in oracle.iter().filter(|receiver| receiver.here != sender.here) {
            let (from, to) = (sender.here, receiver.here);
            let told: &[Message] = &sender.told[to.0 as usize];
            let heard: &[Message] = &receiver.heard[from.0 as usize];
            for (index, (told, heard)) in told.iter().zip(heard).enumerate() {
                assert_eq!(told, heard, "message {index} from shard {from} to shard {to}");
            }
            assert!(heard.len() <= told.len(), "shard {to} heard what shard {from} never told");
        }
    }
}

/// The engines' own sums over all shards, against sums of what the oracle knows.
fn compare_proof(oracle: &[&NaiveShard], proof: &[AssetProof]) {
    assert!(!proof.is_empty(), "a proof was answered");
    for AssetProof { asset, totals } in proof {
        let mut naive = AssetTotals::default();
        for shard in oracle {
            let house = shard.house.get(asset).copied().unwrap_or_default();
            naive.deposits += house.deposits;
            naive.withdrawals += house.withdrawals;
            naive.fees += house.fees;
            for &user in &shard.users {
                let frozen = shard.frozen(user, *asset);
                naive.frozen += frozen;
                naive.avail += shard.total(user, *asset) - frozen;
            }
        }
        assert_eq!(*totals, naive, "sums of asset {asset}");
    }
}

fn compare_registry(shard: &NaiveShard, engines: &Engines<'_>) {
    let ShardId(here) = shard.here;
    let registry = engines.engines[usize::from(here)].registry();
    assert_eq!(registry.assets(), shard.assets, "assets on shard {here}");
    assert_eq!(registry.symbols().len(), shard.symbols.len(), "symbols on shard {here}");
    for (real, naive) in registry.symbols().iter().zip(&shard.symbols) {
        assert_eq!(real.spec, naive.spec, "on shard {here}");
        assert_eq!(real.reference, naive.reference, "reference on shard {here}");
        assert_eq!(real.placed, naive.placed, "place of {} on shard {here}", naive.spec.name);
    }
    let symbols = (0..shard.symbols.len() as u32).map(SymbolId);
    for symbol in symbols {
        let (real, naive) = (registry.shard_of(symbol, shard.placement), shard.shard_of(symbol));
        assert_eq!(real, naive, "where the book of {symbol} is, on shard {here}");
    }
}

fn compare_user(shard: &NaiveShard, user: UserId, engines: &Engines<'_>) {
    let real = engines.balances(user).unwrap_or_else(|| panic!("user {user} is not there"));
    for asset in (0..shard.assets.len() as u32).map(AssetId) {
        let frozen = shard.frozen(user, asset);
        let naive = (shard.total(user, asset) - frozen, frozen);
        let real = real.get(&asset).copied().unwrap_or_default();
        assert_eq!(real, naive, "user {user}, asset {asset}");
    }
    let of_user = shard.withdrawals.iter().rev().filter(|one| one.user == user);
    assert!(engines.withdrawals(user).iter().eq(of_user), "withdrawals of user {user}");
    let naive: BTreeMap<OrderId, OrderView> = shard
        .orders
        .values()
        .filter(|order| order.view.user == user)
        .map(|order| (order.view.order, order.shown()))
        .collect();
    let real = engines.orders(user);
    for (order, view) in &real {
        assert_eq!(Some(view), naive.get(order), "order {order} of user {user}");
    }
    assert_eq!(real.len(), naive.len(), "orders of user {user}");
    let real = engines.trades(user, shard.symbols.len() as u32);
    for symbol in (0..shard.symbols.len() as u32).map(SymbolId) {
        let naive: Vec<_> = shard
            .trades
            .iter()
            .rev()
            .filter(|(of, trade)| *of == user && trade.symbol == symbol)
            .map(|(_, trade)| *trade)
            .collect();
        let real = real.get(&symbol).cloned().unwrap_or_default();
        assert_eq!(real, naive, "trades of user {user} in symbol {symbol}");
    }
}
