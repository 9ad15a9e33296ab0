//! The place that a set is replayed against, as the driver sees it.

use std::future::Future;
use std::time::Duration;

use anyhow::Result;
use money::{Cid, Lots, OrderId, OrderStatus, Price, Side, TradeId, Units, UserId};

use super::set::{Action, Leg, Market};

/// A command of the flow, with its number there.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Its place in the flow; comes back with the answer.
    pub number: usize,
    /// Whose.
    pub user: UserId,
    /// Which order, by its `ref`.
    pub cid: Cid,
    /// What happens to it.
    pub action: Action,
    /// A place answers once matched, and settled on both sides.
    pub wait: bool,
}

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The order is in.
    Placed(OrderId),
    /// The order is refused for want of funds.
    NoFunds,
    /// The order is canceled or smaller.
    Changed(Standing),
    /// The order has ended, or never was one.
    Nothing,
    /// The venue has too much to do; nothing has changed, try again after this time.
    Busy(Duration),
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The order.
    pub order: OrderId,
    /// Its status.
    pub status: OrderStatus,
    /// Its quantity, after reductions.
    pub qty: Lots,
}

/// A trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Counts up by one.
    pub id: TradeId,
    /// The order that came in.
    pub taker: OrderId,
    /// The order that was resting.
    pub maker: OrderId,
    /// The price.
    pub price: Price,
    /// Lots.
    pub qty: Lots,
}

/// A resting order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resting {
    /// The order.
    pub order: OrderId,
    /// Its price.
    pub price: Price,
    /// What is left.
    pub remaining: Lots,
}

/// A balance in the market's base or quote asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Balance {
    /// Free.
    pub avail: Units,
    /// Held by open orders.
    pub frozen: Units,
}

impl Balance {
    /// Whether there is nothing.
    pub fn is_zero(self) -> bool {
        self == Balance::default()
    }
}

/// A user's balances in the market's two assets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Balances {
    /// In what is traded.
    pub base: Balance,
    /// In what it is paid with.
    pub quote: Balance,
}

impl Balances {
    /// The balance in one of the two.
    pub fn of(&self, leg: Leg) -> Balance {
        match leg {
            Leg::Base => self.base,
            Leg::Quote => self.quote,
        }
    }
}

/// What went wrong with the venue.
#[derive(Debug, thiserror::Error)]
pub enum VenueError {
    /// The connection is gone; nobody knows what became of the commands without an answer.
    #[error("the connection is lost: {0:#}")]
    Lost(anyhow::Error),
    /// It cannot be mended.
    #[error(transparent)]
    Fatal(#[from] anyhow::Error),
}

/// A place to replay against. Commands are answered in any order; questions are asked only when no
/// command is under way, and are safe to repeat, so a venue repeats them itself where it must.
pub trait Venue {
    /// How many shards it has.
    fn shards(&self) -> u16;

    /// How many commands may be under way at once.
    fn window(&self) -> usize;

    /// Whether this command may be sent before those ahead of it are answered, and others behind it.
    fn pipelines(&self, action: Action) -> bool;

    /// Makes an asset. One that is there already must have the same decimals.
    fn define_asset(&mut self, name: &str, decimals: u8) -> impl Future<Output = Result<()>>;

    /// Makes the symbol, which the other calls mean then. One that is there already must have the
    /// same steps; its fees are set to these.
    fn define_symbol(&mut self, market: &Market) -> impl Future<Output = Result<()>>;

    /// Makes a user, who may be there already.
    fn define_user(&mut self, user: UserId) -> impl Future<Output = Result<()>>;

    /// Pays in, once per `reference`.
    fn deposit(
        &mut self,
        user: UserId,
        leg: Leg,
        amount: Units,
        reference: &str,
    ) -> impl Future<Output = Result<Balance>>;

    /// Sends a command.
    fn send(&mut self, sent: &Sent) -> impl Future<Output = Result<(), VenueError>>;

    /// The next answer: which command of the flow, and what became of it.
    fn answer(&mut self) -> impl Future<Output = Result<(usize, Answer), VenueError>>;

    /// Waits before something is tried again.
    fn pause(&mut self, time: Duration) -> impl Future<Output = ()>;

    /// Connects again after [`VenueError::Lost`] and forgets the commands under way. Everything that
    /// the venue had begun is done when this returns.
    fn reconnect(&mut self) -> impl Future<Output = Result<()>>;

    /// Where an order stands, if there is one.
    fn find(&mut self, user: UserId, cid: Cid) -> impl Future<Output = Result<Option<Standing>>>;

    /// Trades newer than `after`, oldest first.
    fn tape(&mut self, after: TradeId) -> impl Future<Output = Result<Vec<Trade>>>;

    /// Resting orders behind `after`, in priority order.
    fn book(
        &mut self,
        side: Side,
        after: Option<OrderId>,
    ) -> impl Future<Output = Result<Vec<Resting>>>;

    /// A user's balances.
    fn balances(&mut self, user: UserId) -> impl Future<Output = Result<Balances>>;
}
