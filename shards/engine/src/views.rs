//! Answers to queries.

use book::Book;
use ledger::Account;
use money::{OrderId, Side, SymbolId, TradeId, UserId};

use crate::engine::Engine;
use crate::klines::Ticker;
use crate::orders::{List, Order};
use crate::query::{MAX_ROWS, OrderFilter, Query};
use crate::reply::{AccountView, BalanceView, EngineStatus, OrderView, Refusal, Reply};

impl Engine {
    /// Answers a question that this shard owns. The answer shows the state after the last step, so
    /// it must be held until that step is durable.
    pub fn query(&self, query: &Query) -> Reply {
        self.try_query(query).unwrap_or_else(Reply::Refused)
    }

    fn try_query(&self, query: &Query) -> Result<Reply, Refusal> {
        match *query {
            Query::Order { user, order } => {
                let slot = self.find_order(user, order)?;
                Ok(Reply::Order(Box::new(self.orders.get(slot).view())))
            }
            Query::Orders { user, symbol, filter, before, limit } => {
                self.user_orders(user, symbol, filter, before, limit).map(Reply::Orders)
            }
            Query::Trades { user, symbol, before, limit } => {
                let account = self.account(user)?;
                let trades = self
                    .history
                    .of_account(account, &self.registry)
                    .filter(|view| symbol.is_none_or(|symbol| symbol == view.symbol))
                    .filter(|view| before.is_none_or(|before: TradeId| view.trade < before))
                    .take(limit.min(MAX_ROWS));
                Ok(Reply::Trades(trades.collect()))
            }
            Query::Balances { user } => {
                let account = self.account(user)?;
                let balances = self.ledger.balances(account).map(|balance| BalanceView {
                    asset: balance.asset,
                    avail: balance.avail,
                    frozen: balance.frozen,
                });
                Ok(Reply::Balances(balances.collect()))
            }
            // Whole for who begins to follow it; the gateway bounds what clients ask for.
            Query::Depth { symbol, limit } => self.depth(symbol, limit),
            Query::PublicTrades { symbol, limit } => {
                let market = self.market(symbol).ok_or(Refusal::UnknownSymbol)?;
                Ok(Reply::Tape(market.tape.newest(limit.min(MAX_ROWS))))
            }
            Query::Klines { symbol, interval, start_ms, end_ms, limit } => {
                let market = self.market(symbol).ok_or(Refusal::UnknownSymbol)?;
                let limit = limit.min(MAX_ROWS);
                let candles = market.klines.range(interval, start_ms, end_ms, limit, self.now_ms);
                Ok(Reply::Klines(candles))
            }
            Query::Ticker { symbol } => self.ticker(symbol),
            Query::Tape { symbol, after, limit } => {
                let market = self.market(symbol).ok_or(Refusal::UnknownSymbol)?;
                Ok(Reply::Tape(market.tape.after(after.0, limit.min(MAX_ROWS))))
            }
            Query::Book { symbol, side, after, limit } => {
                self.resting(symbol, side, after, limit.min(MAX_ROWS))
            }
            Query::Status { .. } => Ok(Reply::Status(Box::new(self.status()))),
            Query::User { user } => {
                let account = self.account(user)?;
                Ok(Reply::Account(self.account_view(account)))
            }
            Query::Withdrawals { user, status, limit } => {
                self.account(user)?;
                let rows = self.withdrawals.newest(user, status, limit.min(MAX_ROWS));
                Ok(Reply::Withdrawals(rows.into_iter().cloned().collect()))
            }
            Query::PendingWithdrawals { limit, .. } => {
                let rows = self.withdrawals.oldest_pending(limit.min(MAX_ROWS));
                Ok(Reply::Withdrawals(rows.into_iter().cloned().collect()))
            }
            Query::Users { after, limit, .. } => {
                let accounts = self.ledger.accounts_after(after, limit.min(MAX_ROWS));
                let accounts = accounts.into_iter().map(|account| self.account_view(account));
                Ok(Reply::Accounts(accounts.collect()))
            }
        }
    }

    fn account_view(&self, account: Account) -> AccountView {
        AccountView {
            user: self.ledger.user(account),
            name: self.ledger.name(account).map(str::to_owned),
            frozen: self.ledger.is_frozen(account),
        }
    }

    fn user_orders(
        &self,
        user: UserId,
        symbol: Option<SymbolId>,
        filter: OrderFilter,
        before: Option<OrderId>,
        limit: usize,
    ) -> Result<Vec<OrderView>, Refusal> {
        let account = self.account(user)?;
        let (open, ended) = match filter {
            OrderFilter::All => (true, true),
            OrderFilter::Open => (true, false),
            OrderFilter::Ended => (false, true),
            OrderFilter::Status(status) => (status.is_open(), !status.is_open()),
        };
        let (mut open, mut ended) = (open.then_some(None), ended.then_some(None));
        if let Some(id) = before {
            let slot = self.find_order(user, crate::OrderRef::Id(id))?;
            match self.orders.get(slot).status.is_open() {
                true => *open.as_mut().ok_or(Refusal::OrderNotFound)? = Some(slot),
                false => {
                    *ended.as_mut().ok_or(Refusal::OrderNotFound)? = Some(slot);
                    open = None;
                }
            }
        }
        let wanted = |order: &Order| {
            symbol.is_none_or(|symbol| symbol == order.symbol)
                && match filter {
                    OrderFilter::Status(status) => order.status == status,
                    OrderFilter::Open | OrderFilter::Ended | OrderFilter::All => true,
                }
        };
        let open = open.map(|after| self.orders.list(account, List::Open, after));
        let ended = ended.map(|after| self.orders.list(account, List::Ended, after));
        let rows = open.into_iter().flatten().chain(ended.into_iter().flatten());
        let rows = rows.map(|(_, order)| order);
        Ok(rows.filter(|order| wanted(order)).take(limit.min(MAX_ROWS)).map(Order::view).collect())
    }

    fn depth(&self, symbol: SymbolId, limit: usize) -> Result<Reply, Refusal> {
        let market = self.market(symbol).ok_or(Refusal::UnknownSymbol)?;
        let (mut bids, mut asks) = (Vec::new(), Vec::new());
        market.book.depth(Side::Buy, limit, &mut bids);
        market.book.depth(Side::Sell, limit, &mut asks);
        Ok(Reply::Depth { bids, asks, last_update_id: market.last_update })
    }

    fn ticker(&self, symbol: SymbolId) -> Result<Reply, Refusal> {
        let market = self.market(symbol).ok_or(Refusal::UnknownSymbol)?;
        let best = |side| market.book.best(side).map(|level| (level.price, level.qty));
        let ticker = market.klines.day(self.now_ms).map(|day| {
            let (bid, ask) = (best(Side::Buy), best(Side::Sell));
            Box::new(Ticker { day, until_ms: self.now_ms, bid, ask })
        });
        Ok(Reply::Ticker(ticker))
    }

    fn resting(
        &self,
        symbol: SymbolId,
        side: Side,
        after: Option<OrderId>,
        limit: usize,
    ) -> Result<Reply, Refusal> {
        let market = self.market(symbol).ok_or(Refusal::UnknownSymbol)?;
        if let Some(after) = after
            && market.book.get(after).is_none_or(|order| order.side != side)
        {
            return Err(Refusal::CursorGone);
        }
        let mut rows = Vec::new();
        market.book.orders(side, after, limit, &mut rows);
        Ok(Reply::Book(rows))
    }

    /// Orders accepted here for books of other shards since this engine was made, replayed ones among
    /// them. It is no part of the state.
    pub fn orders_crossing(&self) -> u64 {
        self.crossing_count
    }

    /// What this shard holds.
    pub fn status(&self) -> EngineStatus {
        let markets = self.markets.iter().flatten();
        EngineStatus {
            users: self.ledger.users() as u64,
            symbols: markets.clone().count() as u64,
            open_orders: self.orders.open_count(),
            resting_orders: markets.clone().map(|market| market.book.len() as u64).sum(),
            orders_placed: self.order_count,
            trades: markets.map(|market| market.last_trade).sum(),
            unconfirmed: self.peers.unconfirmed(),
            state_hash: self.state_hash,
        }
    }
}
