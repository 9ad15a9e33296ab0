//! A set replayed inside this process, through the same engine, mesh and journal as a server's.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use engine::{
    BalanceView, Command, NewSymbol, OrderRef, OrderView, Place, Query, Refusal, Reply, Transfer,
};
use money::{
    Asset, AssetId, Cid, OrderId, OrderKind, Placement, SelfTrade, Side, SymbolId, SymbolPatch,
    SymbolSpec, TradeId, Units, UserId,
};
use runtime::{Client, Request};

use super::set::{Action, Leg, Market};
use super::venue::{Answer, Balance, Balances, Resting, Sent, Standing, Trade, Venue, VenueError};

/// Commands under way at once: as many as gather while the journal writes, and no more.
const WINDOW: usize = 8_192;
/// How long to leave a shard alone whose journal waits for its next segment.
const BUSY_PAUSE: Duration = Duration::from_millis(2);

/// A running node, seen from inside.
pub struct InProcess {
    client: Client,
    symbol: SymbolId,
    base: AssetId,
    quote: AssetId,
    /// Token and number in the flow, in the order of sending.
    under_way: VecDeque<(u64, usize)>,
}

impl InProcess {
    /// Drives the node behind `client`.
    pub fn new(client: Client) -> InProcess {
        InProcess {
            client,
            symbol: SymbolId(0),
            base: AssetId(0),
            quote: AssetId(0),
            under_way: VecDeque::with_capacity(WINDOW),
        }
    }

    async fn command(&self, command: Command) -> Reply {
        loop {
            match self.client.call(Request::Command(command.clone())).await {
                Reply::Refused(Refusal::Busy) => self.client.sleep(BUSY_PAUSE).await,
                reply => return reply,
            }
        }
    }

    async fn query(&self, query: Query) -> Reply {
        self.client.call(Request::Query(query)).await
    }

    fn asset(&self, name: &str) -> Result<AssetId> {
        self.client.registry().asset_named(name).with_context(|| format!("no asset {name}"))
    }
}

fn balance_of(views: &[BalanceView], asset: AssetId) -> Balance {
    let view = views.iter().find(|view| view.asset == asset);
    view.map_or(Balance::default(), |view| Balance { avail: view.avail, frozen: view.frozen })
}

fn standing(view: &OrderView) -> Standing {
    Standing { order: view.order, status: view.status, qty: view.qty }
}

fn unexpected(reply: &Reply) -> anyhow::Error {
    match reply {
        Reply::Refused(refusal) => anyhow!("refused: {refusal}"),
        other => anyhow!("an answer that does not belong here: {other:?}"),
    }
}

fn understand(reply: &Reply) -> Result<Answer> {
    match reply {
        Reply::Accepted { order, .. } => Ok(Answer::Placed(*order)),
        Reply::Matched { order, .. } => Ok(Answer::Placed(order.order)),
        Reply::Order(view) => Ok(Answer::Changed(standing(view))),
        Reply::Refused(Refusal::InsufficientBalance { .. }) => Ok(Answer::NoFunds),
        Reply::Refused(Refusal::OrderNotFound | Refusal::OrderNotOpen(_)) => Ok(Answer::Nothing),
        Reply::Refused(Refusal::Busy) => Ok(Answer::Busy(BUSY_PAUSE)),
        other => Err(unexpected(other)),
    }
}

/// The same steps, whatever the ids of the assets and the rules are.
fn same_steps(left: &SymbolSpec, right: &SymbolSpec) -> bool {
    (left.tick_mantissa, left.tick_decimals, left.lot_units)
        == (right.tick_mantissa, right.tick_decimals, right.lot_units)
}

impl Venue for InProcess {
    fn shards(&self) -> u16 {
        self.client.shards()
    }

    fn window(&self) -> usize {
        WINDOW
    }

    fn pipelines(&self, _action: Action) -> bool {
        true
    }

    async fn define_asset(&mut self, name: &str, decimals: u8) -> Result<()> {
        let asset = Asset { name: name.to_owned(), decimals };
        match self.command(Command::CreateAsset(asset)).await {
            Reply::Asset(_) => Ok(()),
            Reply::Refused(Refusal::AssetExists) => {
                let registry = self.client.registry();
                let known = registry.asset(self.asset(name)?).map(|asset| asset.decimals);
                ensure!(known == Some(decimals), "asset {name}: is there with other decimals");
                Ok(())
            }
            other => Err(unexpected(&other)).with_context(|| format!("asset {name}")),
        }
    }

    async fn define_symbol(&mut self, market: &Market) -> Result<()> {
        (self.base, self.quote) = (self.asset(&market.base)?, self.asset(&market.quote)?);
        let name = &market.spec.name;
        let spec = SymbolSpec { base: self.base, quote: self.quote, ..market.spec.clone() };
        let symbol = Box::new(NewSymbol { spec, reference: None });
        match self.command(Command::CreateSymbol(symbol)).await {
            Reply::Symbol(symbol) => self.symbol = symbol,
            Reply::Refused(Refusal::SymbolExists) => {
                let registry = self.client.registry();
                self.symbol = registry.symbol_named(name).context("the symbol is there")?;
                let known = &registry.symbol(self.symbol).context("the symbol is there")?.spec;
                ensure!(
                    same_steps(known, &market.spec)
                        && (known.base, known.quote) == (self.base, self.quote),
                    "symbol {name}: is there with other steps"
                );
                let patch = Box::new(SymbolPatch {
                    maker_fee_ppm: Some(market.spec.rules.maker_fee_ppm),
                    taker_fee_ppm: Some(market.spec.rules.taker_fee_ppm),
                    ..SymbolPatch::default()
                });
                let change = Command::UpdateSymbol { symbol: self.symbol, patch };
                match self.command(change).await {
                    Reply::Symbol(_) => {}
                    other => {
                        return Err(unexpected(&other)).with_context(|| format!("symbol {name}"));
                    }
                }
            }
            other => return Err(unexpected(&other)).with_context(|| format!("symbol {name}")),
        }
        Ok(())
    }

    async fn define_user(&mut self, user: UserId) -> Result<()> {
        let shard = Placement::new(self.client.shards()).home_of(user);
        match self.command(Command::CreateUser { user: Some(user), shard, name: None }).await {
            Reply::User(_) | Reply::Refused(Refusal::UserExists) => Ok(()),
            other => Err(unexpected(&other)).with_context(|| format!("user {user}")),
        }
    }

    async fn deposit(
        &mut self,
        user: UserId,
        leg: Leg,
        amount: Units,
        reference: &str,
    ) -> Result<Balance> {
        let asset = match leg {
            Leg::Base => self.base,
            Leg::Quote => self.quote,
        };
        let reference = reference.to_owned();
        match self.command(Command::Deposit(Transfer { user, asset, amount, reference })).await {
            Reply::Balance(view) => Ok(Balance { avail: view.avail, frozen: view.frozen }),
            other => Err(unexpected(&other)).with_context(|| format!("deposit for user {user}")),
        }
    }

    async fn send(&mut self, sent: &Sent) -> Result<(), VenueError> {
        let (user, order) = (sent.user, OrderRef::Cid(sent.cid));
        let command = match sent.action {
            Action::Place { side, time_in_force, price, qty } => Command::Place(Place {
                user,
                symbol: self.symbol,
                side,
                kind: OrderKind::Limit,
                time_in_force,
                self_trade: SelfTrade::None,
                wait: sent.wait,
                price,
                qty,
                quote_qty: None,
                cid: Some(sent.cid),
            }),
            Action::Cancel => Command::Cancel { user, order },
            Action::Reduce { by } => Command::Reduce { user, order, by },
        };
        // One refused in the middle would be overtaken by those behind it.
        self.client.room().await;
        let token = self.client.submit(Request::Command(command));
        self.under_way.push_back((token, sent.number));
        Ok(())
    }

    async fn answer(&mut self) -> Result<(usize, Answer), VenueError> {
        let (token, reply) = self.client.next().await;
        // One shard answers in the order in which it was asked; several are asked one by one.
        let oldest = self.under_way.pop_front().filter(|oldest| oldest.0 == token);
        let (_, number) = oldest.context("an answer out of order")?;
        Ok((number, understand(&reply)?))
    }

    async fn pause(&mut self, time: Duration) {
        self.client.sleep(time).await;
    }

    async fn reconnect(&mut self) -> Result<()> {
        bail!("a node inside this process is never lost")
    }

    async fn find(&mut self, user: UserId, cid: Cid) -> Result<Option<Standing>> {
        match self.query(Query::Order { user, order: OrderRef::Cid(cid) }).await {
            Reply::Order(view) => Ok(Some(standing(&view))),
            Reply::Refused(Refusal::OrderNotFound) => Ok(None),
            other => Err(unexpected(&other)),
        }
    }

    async fn tape(&mut self, after: TradeId) -> Result<Vec<Trade>> {
        let query = Query::Tape { symbol: self.symbol, after, limit: engine::MAX_ROWS };
        let Reply::Tape(rows) = self.query(query).await else { bail!("no tape") };
        let trades = rows.into_iter().map(|row| Trade {
            id: row.trade,
            taker: row.taker,
            maker: row.maker,
            price: row.price,
            qty: row.qty,
        });
        Ok(trades.collect())
    }

    async fn book(&mut self, side: Side, after: Option<OrderId>) -> Result<Vec<Resting>> {
        let query = Query::Book { symbol: self.symbol, side, after, limit: engine::MAX_ROWS };
        let Reply::Book(rows) = self.query(query).await else { bail!("no book") };
        let orders = rows.into_iter().map(|row| Resting {
            order: row.id,
            price: row.price,
            remaining: row.remaining,
        });
        Ok(orders.collect())
    }

    async fn balances(&mut self, user: UserId) -> Result<Balances> {
        let Reply::Balances(views) = self.query(Query::Balances { user }).await else {
            bail!("no balances of user {user}")
        };
        Ok(Balances { base: balance_of(&views, self.base), quote: balance_of(&views, self.quote) })
    }
}
