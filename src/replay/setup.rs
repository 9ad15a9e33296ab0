//! Gives a venue the market, the users and the deposits of a set. May be repeated.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use indicatif::ProgressBar;
use money::{TradeId, UserId};

use super::set::{Leg, Set};
use super::venue::{Balance, Balances, Venue};

/// Makes assets, symbol, users and deposits, and checks that the venue is as the set begins: what
/// somebody else traded or paid in there would end in the results.
pub async fn prepare<V: Venue>(venue: &mut V, set: &Set, progress: &ProgressBar) -> Result<()> {
    let market = &set.market;
    let symbol = &market.spec.name;
    venue.define_asset(&market.base, market.decimals(Leg::Base)).await?;
    venue.define_asset(&market.quote, market.decimals(Leg::Quote)).await?;
    venue.define_symbol(market).await?;
    ensure!(
        venue.tape(TradeId(0)).await?.is_empty(),
        "symbol {symbol}: has traded already; a replay needs a fresh data directory"
    );
    for side in money::Side::ALL {
        ensure!(
            venue.book(*side, None).await?.is_empty(),
            "symbol {symbol}: has open orders already; a replay needs a fresh data directory"
        );
    }
    progress.set_message("users and deposits");
    progress.set_length((set.users.len() + set.deposits.len()) as u64);
    for user in &set.users {
        venue.define_user(*user).await?;
        progress.inc(1);
    }
    for (number, deposit) in set.deposits.iter().enumerate() {
        // Zero is no payment.
        if deposit.amount > 0 {
            let reference = format!("replay:{symbol}:{number}");
            venue.deposit(deposit.user, deposit.leg, deposit.amount, &reference).await?;
        }
        progress.inc(1);
    }
    check_balances(venue, set).await
}

async fn check_balances<V: Venue>(venue: &mut V, set: &Set) -> Result<()> {
    let mut expected: BTreeMap<UserId, Balances> = BTreeMap::new();
    for deposit in &set.deposits {
        let balances = expected.entry(deposit.user).or_default();
        let Balance { avail, .. } = match deposit.leg {
            Leg::Base => &mut balances.base,
            Leg::Quote => &mut balances.quote,
        };
        *avail += deposit.amount;
    }
    for user in &set.users {
        let (found, expected) = (venue.balances(*user).await?, expected.get(user).copied());
        ensure!(
            found == expected.unwrap_or_default(),
            "user {user}: has balances beside the deposits of the set; start the server with \
             --empty and a fresh data directory"
        );
    }
    Ok(())
}
