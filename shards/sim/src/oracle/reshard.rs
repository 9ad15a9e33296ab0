//! The oracle on another number of shards: everything said is heard, then everybody moves.

use money::{Placement, ShardId};

use super::shard::NaiveShard;

/// Deals naive shards out anew.
pub(crate) fn reshard(mut old: Vec<NaiveShard>, shards: u16) -> Vec<NaiveShard> {
    settle(&mut old);
    let placement = Placement::new(shards);
    let mut new: Vec<NaiveShard> =
        placement.all().map(|here| beginning(&old, here, placement)).collect();
    for shard in old {
        let home = |user| usize::from(placement.home_of(user).0);
        for user in shard.users {
            new[home(user)].users.push(user);
        }
        for ((user, asset), units) in shard.totals {
            new[home(user)].totals.insert((user, asset), units);
        }
        for (user, reference) in shard.payments {
            new[home(user)].payments.insert((user, reference));
        }
        for withdrawal in shard.withdrawals {
            new[home(withdrawal.user)].withdrawals.push(withdrawal);
        }
        for user in shard.barred {
            new[home(user)].barred.insert(user);
        }
        for (id, order) in shard.orders {
            new[home(order.view.user)].orders.insert(id, order);
        }
        for (user, trade) in shard.trades {
            new[home(user)].trades.push((user, trade));
        }
        for (symbol, market) in shard.books {
            let owner = new[0].shard_of(symbol);
            new[usize::from(owner.0)].books.insert(symbol, market);
        }
        for (asset, house) in shard.house {
            let sum = new[0].house.entry(asset).or_default();
            sum.deposits += house.deposits;
            sum.withdrawals += house.withdrawals;
            sum.fees += house.fees;
        }
    }
    for shard in &mut new {
        // Stable: those of one shard keep their order.
        shard.withdrawals.sort_by_key(|one| one.requested_at_ms);
    }
    new
}

/// Hands on what was told and not heard, in turns, until nobody has anything more to say.
fn settle(shards: &mut [NaiveShard]) {
    let now_ms = shards.iter().map(|shard| shard.now_ms).max().unwrap_or(0);
    let mut idle = false;
    while !idle {
        idle = true;
        for from in 0..shards.len() {
            for to in (0..shards.len()).filter(|&to| to != from) {
                let known = shards[to].heard[from].len();
                let news = shards[from].told[to][known..].to_vec();
                idle &= news.is_empty();
                let receiver = &mut shards[to];
                receiver.now_ms = now_ms;
                for message in news {
                    receiver.handle(ShardId(from as u16), &message);
                    receiver.heard[from].push(message);
                }
            }
        }
    }
}

/// What every shard has of the exchange as a whole.
fn beginning(old: &[NaiveShard], here: ShardId, placement: Placement) -> NaiveShard {
    let most = |of: fn(&NaiveShard) -> u64| old.iter().map(of).max().unwrap_or(0);
    let users = (most(|shard| shard.user_count) + 1) * old.len() as u64;
    let mut new = NaiveShard::new(here, placement);
    assert!(old[0].early.is_empty(), "every symbol is known everywhere");
    new.now_ms = most(|shard| shard.now_ms);
    new.assets.clone_from(&old[0].assets);
    new.symbols.clone_from(&old[0].symbols);
    new.identities.clone_from(&old[0].identities);
    new.order_count = most(|shard| shard.order_count);
    new.user_count = users.div_ceil(u64::from(placement.shards()));
    new
}
