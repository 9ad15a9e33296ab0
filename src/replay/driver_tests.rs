//! The driver against a venue that loses connections and is too busy at random: what comes of the
//! flow must be the same as without.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use engine::{
    Command, Effects, Engine, EngineConfig, Input, NewSymbol, OrderRef, Origin, Place, Query,
    Refusal, Reply, Transfer,
};
use indicatif::ProgressBar;
use money::{
    Asset, AssetId, Cid, OrderId, OrderKind, SelfTrade, ShardId, Side, SymbolId, TradeId, Units,
    UserId,
};

use super::driver::{Outcome, drive};
use super::set::{Action, Leg, Market, Set, tests::write_set};
use super::setup::prepare;
use super::venue::{Answer, Balance, Balances, Resting, Sent, Standing, Trade, Venue, VenueError};

const WINDOW: usize = 16;

/// One shard in memory behind a connection that breaks.
struct Flaky {
    engine: Engine,
    effects: Effects,
    /// Sent and not answered.
    pipe: VecDeque<Sent>,
    random: u64,
    /// One in how many answers is a loss instead, and one in how many is a refusal of all that is
    /// under way; 0 is never.
    loss: u64,
    busy: u64,
    /// Answers still to be refused.
    refusing: usize,
    losses: u64,
}

impl Flaky {
    fn new(seed: u64, loss: u64, busy: u64) -> Flaky {
        let config = EngineConfig { shard: ShardId(0), shards: 1, hash_seed: seed };
        Flaky {
            engine: Engine::new(config),
            effects: Effects::default(),
            pipe: VecDeque::new(),
            random: seed,
            loss,
            busy,
            refusing: 0,
            losses: 0,
        }
    }

    fn below(&mut self, end: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.random >> 33) % end
    }

    fn happens(&mut self, one_in: u64) -> bool {
        one_in > 0 && self.below(one_in) == 0
    }

    fn command(&mut self, command: Command) -> Reply {
        let origin = Some(Origin { shard: ShardId(0), token: 0 });
        let _ = self.engine.step(1, &Input::Command(command), origin, &mut self.effects);
        let (_, reply) = self.effects.replies.remove(0);
        self.effects.clear();
        reply
    }

    fn apply(&mut self, sent: &Sent) -> Answer {
        let (user, order) = (sent.user, OrderRef::Cid(sent.cid));
        let command = match sent.action {
            Action::Place { side, time_in_force, price, qty } => Command::Place(Place {
                user,
                symbol: SymbolId(0),
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
        match self.command(command) {
            Reply::Accepted { order, .. } => Answer::Placed(order),
            Reply::Order(view) => Answer::Changed(standing(&view)),
            Reply::Refused(Refusal::InsufficientBalance { .. }) => Answer::NoFunds,
            Reply::Refused(Refusal::OrderNotFound | Refusal::OrderNotOpen(_)) => Answer::Nothing,
            other => panic!("{other:?}"),
        }
    }

    /// The connection breaks: of what was sent, the shard still gets some.
    fn lose(&mut self) -> VenueError {
        self.losses += 1;
        // A busy one takes none.
        let most = if self.refusing > 0 { 0 } else { self.pipe.len() as u64 };
        for _ in 0..self.below(most + 1) {
            if let Some(sent) = self.pipe.pop_front() {
                self.apply(&sent);
            }
        }
        self.pipe.clear();
        self.refusing = 0;
        VenueError::Lost(anyhow!("as the test wants"))
    }
}

fn standing(view: &engine::OrderView) -> Standing {
    Standing { order: view.order, status: view.status, qty: view.qty }
}

fn fine(reply: &Reply) -> Result<()> {
    match reply {
        Reply::Refused(refusal) => bail!("{refusal}"),
        _ => Ok(()),
    }
}

impl Venue for Flaky {
    fn shards(&self) -> u16 {
        1
    }

    fn window(&self) -> usize {
        WINDOW
    }

    fn pipelines(&self, action: Action) -> bool {
        !matches!(action, Action::Reduce { .. })
    }

    async fn define_asset(&mut self, name: &str, decimals: u8) -> Result<()> {
        fine(&self.command(Command::CreateAsset(Asset { name: name.to_owned(), decimals })))
    }

    async fn define_symbol(&mut self, market: &Market) -> Result<()> {
        let new = NewSymbol { spec: market.spec.clone(), reference: None };
        fine(&self.command(Command::CreateSymbol(Box::new(new))))
    }

    async fn define_user(&mut self, user: UserId) -> Result<()> {
        let create = Command::CreateUser { user: Some(user), shard: ShardId(0), name: None };
        fine(&self.command(create))
    }

    async fn deposit(
        &mut self,
        user: UserId,
        leg: Leg,
        amount: Units,
        reference: &str,
    ) -> Result<Balance> {
        let asset = AssetId(leg as u32);
        let transfer = Transfer { user, asset, amount, reference: reference.to_owned() };
        match self.command(Command::Deposit(transfer)) {
            Reply::Balance(view) => Ok(Balance { avail: view.avail, frozen: view.frozen }),
            other => bail!("{other:?}"),
        }
    }

    async fn send(&mut self, sent: &Sent) -> Result<(), VenueError> {
        self.pipe.push_back(*sent);
        Ok(())
    }

    async fn answer(&mut self) -> Result<(usize, Answer), VenueError> {
        if self.happens(self.loss) {
            return Err(self.lose());
        }
        if self.refusing == 0 && self.happens(self.busy) {
            self.refusing = self.pipe.len();
        }
        let sent = self.pipe.pop_front().expect("a question is under way");
        if self.refusing > 0 {
            self.refusing -= 1;
            return Ok((sent.number, Answer::Busy(Duration::ZERO)));
        }
        Ok((sent.number, self.apply(&sent)))
    }

    async fn pause(&mut self, _time: Duration) {}

    async fn reconnect(&mut self) -> Result<()> {
        Ok(())
    }

    async fn find(&mut self, user: UserId, cid: Cid) -> Result<Option<Standing>> {
        match self.engine.query(&Query::Order { user, order: OrderRef::Cid(cid) }) {
            Reply::Order(view) => Ok(Some(standing(&view))),
            _ => Ok(None),
        }
    }

    async fn tape(&mut self, after: TradeId) -> Result<Vec<Trade>> {
        let query = Query::Tape { symbol: SymbolId(0), after, limit: 100 };
        let Reply::Tape(rows) = self.engine.query(&query) else { bail!("no tape") };
        let trade = |row: &engine::TapeEntry| Trade {
            id: row.trade,
            taker: row.taker,
            maker: row.maker,
            price: row.price,
            qty: row.qty,
        };
        Ok(rows.iter().map(trade).collect())
    }

    async fn book(&mut self, side: Side, after: Option<OrderId>) -> Result<Vec<Resting>> {
        let query = Query::Book { symbol: SymbolId(0), side, after, limit: 100 };
        let Reply::Book(rows) = self.engine.query(&query) else { bail!("no book") };
        let resting = rows.iter().map(|row| Resting {
            order: row.id,
            price: row.price,
            remaining: row.remaining,
        });
        Ok(resting.collect())
    }

    async fn balances(&mut self, user: UserId) -> Result<Balances> {
        let Reply::Balances(views) = self.engine.query(&Query::Balances { user }) else {
            bail!("no balances")
        };
        let of = |leg: Leg| {
            let view = views.iter().find(|view| view.asset == AssetId(leg as u32));
            view.map_or(Balance::default(), |view| Balance {
                avail: view.avail,
                frozen: view.frozen,
            })
        };
        Ok(Balances { base: of(Leg::Base), quote: of(Leg::Quote) })
    }
}

/// A flow in which funds are short, so that what is sent twice or left out shows.
fn tight_set(seed: u64, commands: usize) -> Set {
    let mut random = Flaky::new(seed, 0, 0);
    let mut balances = String::from("user_id,asset,amount\n");
    for user in 0..5 {
        balances += &format!("{user},AAA,{}\n{user},BBB,{}\n", 30 + user, 300 + user);
    }
    let mut flow = String::from("op,ref,user_id,side,tif,price,qty\n");
    let mut placed: Vec<u64> = Vec::new();
    for number in 0..commands {
        let recent = placed.len().saturating_sub(20);
        let dice = random.below(100);
        if dice < 55 || placed.is_empty() {
            let user = random.below(5);
            let side = ["BUY", "SELL"][random.below(2) as usize];
            let tif = ["GTC", "GTC", "GTC", "IOC", "FOK"][random.below(5) as usize];
            let (price, qty) = (90 + random.below(20), 1 + random.below(12));
            flow += &format!(
                "place,{},{user},{side},{tif},{}.{},{qty}\n",
                placed.len(),
                price / 10,
                price % 10
            );
            placed.push(user);
        } else {
            let which = recent + random.below((placed.len() - recent) as u64) as usize;
            let user = placed[which];
            if dice < 85 {
                flow += &format!("cancel,{which},{user},,,,\n");
            } else {
                flow += &format!("reduce,{which},{user},,,,{}\n", 1 + number % 3);
            }
        }
    }
    let market = r#"{"symbol":"AAA_BBB","base":"AAA","quote":"BBB","base_decimals":0,
        "quote_decimals":1,"price_decimals":1,"tick":"0.1","lot":"1"}"#;
    let directory = tempfile::tempdir().unwrap();
    write_set(directory.path(), market, &balances, &flow);
    Set::read(directory.path()).unwrap()
}

fn replay(set: &Set, mut venue: Flaky) -> (Outcome, u64) {
    let progress = ProgressBar::hidden();
    let outcome = journal::block_on(async {
        prepare(&mut venue, set, &progress).await?;
        drive(&mut venue, set, &progress).await
    });
    (outcome.unwrap(), venue.losses)
}

fn same<T: PartialEq + Debug>(left: &T, right: &T, what: &str, seed: u64) {
    assert_eq!(left, right, "{what} differ with seed {seed}");
}

#[test]
fn lost_connections_and_refusals_leave_no_trace() {
    let (mut losses, mut trades, mut rejected) = (0, 0, 0);
    for seed in 1..40 {
        let set = tight_set(seed, 600);
        let (plain, _) = replay(&set, Flaky::new(seed, 0, 0));
        trades += plain.trades.len();
        rejected += plain.rejected.len();
        let (flaky, lost) = replay(&set, Flaky::new(seed, 25, 40));
        losses += lost;
        same(&plain.trades, &flaky.trades, "trades", seed);
        same(&plain.rejected, &flaky.rejected, "rejected orders", seed);
        same(&plain.book, &flaky.book, "books", seed);
        same(&plain.balances, &flaky.balances, "balances", seed);
        same(&plain.index_of, &flaky.index_of, "order ids", seed);
    }
    let counts = (losses, trades, rejected);
    assert!(losses > 500 && trades > 500 && rejected > 500, "tries nothing: {counts:?}");
}
