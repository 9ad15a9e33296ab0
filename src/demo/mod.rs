//! `ringbook demo`: the exchange with synthetic traders, so that a newcomer sees depth and trades
//! move, and a live summary.
//!
//! The traders act through a client inside the process; the server listens like any other. What is
//! shown is drawn by a thread of its own, because a terminal that has been stopped must not stop a
//! shard.

mod screen;
mod traders;

use std::collections::HashMap;
use std::future::poll_fn;
use std::io::IsTerminal;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use engine::{Command, Query, Refusal, Registry, Reply, SymbolEntry, Transfer};
use hdrhistogram::Histogram;
use money::{Decimal, Price, ShardId, SymbolId, UserId, write_units};
use runtime::drain::block_signals;
use runtime::{Client, NodeConfig, Request};
use tracing_subscriber::EnvFilter;

use self::screen::{LEVELS, MarketView, View, draw};
use self::traders::Traders;
use crate::bootstrap;
use crate::cli::{DemoArguments, LogFormat};
use crate::{serve, terminal};

/// How often the traders act.
const TICK: Duration = Duration::from_millis(5);
/// Commands under way at most: a slow disk slows the traders down.
const MAX_UNDER_WAY: usize = 4_096;
/// How often the summary is drawn.
const REDRAW: Duration = Duration::from_millis(500);
/// How often a line is written where nothing can be drawn over.
const LINE_INTERVAL: Duration = Duration::from_secs(2);
/// What every trader has of every asset at the start: enough for ever.
const PURSE: &str = "1000000000";
/// Latencies above this count as this, in ns.
const MAX_LATENCY_NS: u64 = 10_000_000_000;

/// Runs the demo until it is told to stop.
pub fn run(arguments: DemoArguments) -> Result<()> {
    // Before any thread is made: one that lets the signals in would end with them, uncleaned.
    block_signals().context("cannot block signals")?;
    serve::start_logging(LogFormat::Text, EnvFilter::new("warn"));
    let temporary = match arguments.data {
        Some(_) => None,
        None => Some(terminal::temporary_directory()?),
    };
    let config = NodeConfig {
        host: arguments.host,
        port: arguments.port,
        shards: arguments.shards,
        // What is removed at the end need not survive a power cut.
        allow_memory: temporary.is_some(),
        data: arguments
            .data
            .clone()
            .or_else(|| temporary.as_ref().map(|directory| directory.path().to_owned()))
            .context("a data directory")?,
        bootstrap: bootstrap::default_beginning()?.commands()?,
        ..NodeConfig::default()
    };
    let is_terminal = std::io::stdout().is_terminal();
    let address: Arc<OnceLock<String>> = Arc::default();
    let announced = address.clone();
    let on_ready = Box::new(move |ready: &runtime::Ready| {
        let Some(address) = ready.address else { return };
        if !is_terminal {
            terminal::say(&format!(
                "listening on http://{address}\ntry: curl 'http://{address}/api/v1/public/depth?\
                 symbol=BTC_USDT&limit=5'\n"
            ));
        }
        let _ = announced.set(address.to_string());
    });
    // Room for one: a view that is not drawn in time is not worth drawing.
    let (sender, receiver) = sync_channel(1);
    let has_ended: Arc<AtomicBool> = Arc::default();
    let ends = has_ended.clone();
    let screen = std::thread::spawn(move || show(&receiver, &ends, is_terminal));
    let (results, result) = sync_channel(1);
    let driver: runtime::Driver = Box::new(move |client| {
        Box::pin(async move {
            let demo = Demo::new(client, &arguments, address, sender, is_terminal);
            let outcome = match demo {
                Ok(demo) => demo.run(arguments.duration_s.map(Duration::from_secs)).await,
                Err(error) => Err(error),
            };
            let _ = results.send(outcome);
        })
    });
    let ended = runtime::run(config, on_ready, Some(driver));
    has_ended.store(true, Ordering::Relaxed);
    ended?;
    screen.join().map_err(|_| anyhow!("the summary could not be drawn"))?;
    // Nothing comes from traders that were stopped by a signal.
    result.try_recv().unwrap_or(Ok(()))
}

/// Draws until there is an end: the traders of a stopped node let go of nothing.
fn show(views: &Receiver<View>, has_ended: &AtomicBool, is_terminal: bool) {
    if is_terminal {
        terminal::say("\x1b[2J");
    }
    while !has_ended.load(Ordering::Relaxed) {
        match views.recv_timeout(REDRAW) {
            Ok(view) => draw(&view, is_terminal),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// What a command that is under way was.
struct UnderWay {
    sent_at: Instant,
    is_order: bool,
}

struct Demo {
    client: Rc<Client>,
    registry: Rc<Registry>,
    traders: Traders,
    rate: u32,
    address: Arc<OnceLock<String>>,
    views: SyncSender<View>,
    view_interval: Duration,
    under_way: HashMap<u64, UnderWay>,
    view: View,
    latency_ns: Histogram<u64>,
}

impl Demo {
    fn new(
        client: Client,
        arguments: &DemoArguments,
        address: Arc<OnceLock<String>>,
        views: SyncSender<View>,
        is_terminal: bool,
    ) -> Result<Demo> {
        let registry = Rc::new(client.registry());
        // A kept data directory remembers the client order ids of earlier demos.
        let begin_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let symbols = registry.symbols().iter().enumerate();
        let symbols = symbols.map(|(at, entry)| (SymbolId(at as u32), entry));
        let traders = Traders::new(arguments.seed, format!("{begin_ms}"), symbols);
        let view = View { shards: client.shards(), ..View::default() };
        Ok(Demo {
            client: Rc::new(client),
            registry,
            traders,
            rate: arguments.rate,
            address,
            views,
            view_interval: if is_terminal { REDRAW } else { LINE_INTERVAL },
            under_way: HashMap::new(),
            view,
            latency_ns: Histogram::new_with_bounds(1, MAX_LATENCY_NS, 3)?,
        })
    }

    async fn run(mut self, limit: Option<Duration>) -> Result<()> {
        self.prepare().await?;
        let begin = Instant::now();
        let (mut shown_at, mut shown_commands) = (begin, 0);
        let mut due = 0f64;
        let mut last = begin;
        loop {
            self.take_answers_for(TICK).await;
            due += last.elapsed().as_secs_f64() * f64::from(self.rate);
            last = Instant::now();
            while due >= 1.0 && self.under_way.len() < MAX_UNDER_WAY {
                due -= 1.0;
                self.act();
            }
            // What a slow disk has held up is not caught up with.
            due = due.min(f64::from(self.rate));
            let since = shown_at.elapsed();
            if since >= self.view_interval {
                let commands = self.view.orders + self.view.cancels;
                self.view.rate =
                    ((commands - shown_commands) as f64 / since.as_secs_f64()).round() as u64;
                self.view.elapsed = begin.elapsed();
                (shown_at, shown_commands) = (Instant::now(), commands);
                self.publish().await;
            }
            if limit.is_some_and(|limit| begin.elapsed() >= limit) {
                return Ok(());
            }
        }
    }

    /// Users with funds; and nothing open from an earlier demo, which nobody would cancel any more.
    async fn prepare(&self) -> Result<()> {
        for user in Traders::users() {
            let create = Command::CreateUser { user: Some(user), shard: ShardId(0), name: None };
            self.expect(create, &[Refusal::UserExists]).await?;
            let assets: Vec<u8> =
                self.registry.assets().iter().map(|asset| asset.decimals).collect();
            for (at, decimals) in assets.into_iter().enumerate() {
                let deposit = Command::Deposit(Transfer {
                    user,
                    asset: money::AssetId(at as u32),
                    amount: Decimal::parse(PURSE)?.to_units(decimals)?,
                    reference: format!("demo:{at}"),
                });
                self.expect(deposit, &[]).await?;
            }
            self.cancel_all(user).await?;
        }
        Ok(())
    }

    async fn expect(&self, command: Command, known: &[Refusal]) -> Result<()> {
        match self.client.call(Request::Command(command)).await {
            Reply::Refused(refusal) if !known.contains(&refusal) => Err(anyhow!("{refusal}")),
            _ => Ok(()),
        }
    }

    async fn cancel_all(&self, user: UserId) -> Result<()> {
        loop {
            let cancel = Command::CancelUser { user, symbol: None };
            match self.client.call(Request::Command(cancel)).await {
                Reply::CanceledAll { more: true, .. } => {}
                Reply::Refused(refusal) => return Err(anyhow!("{refusal}")),
                _ => return Ok(()),
            }
        }
    }

    fn act(&mut self) {
        let Some(command) = self.traders.next() else { return };
        let is_order = matches!(command, Command::Place(_));
        if is_order {
            self.view.orders += 1;
        } else {
            self.view.cancels += 1;
        }
        let token = self.client.submit(Request::Command(command));
        self.under_way.insert(token, UnderWay { sent_at: Instant::now(), is_order });
    }

    /// Takes answers as they come, so that their times are right.
    async fn take_answers_for(&mut self, time: Duration) {
        let client = self.client.clone();
        let mut timer = pin!(client.sleep(time));
        loop {
            let mut next = pin!(client.next());
            let answer = poll_fn(|context| match next.as_mut().poll(context) {
                Poll::Ready(answer) => Poll::Ready(Some(answer)),
                Poll::Pending => timer.as_mut().poll(context).map(|()| None),
            });
            let Some((token, reply)) = answer.await else { return };
            self.note(token, &reply);
        }
    }

    fn note(&mut self, token: u64, reply: &Reply) {
        let Some(sent) = self.under_way.remove(&token) else { return };
        if matches!(reply, Reply::Refused(_)) {
            self.view.refused += 1;
        } else if sent.is_order {
            let ns = u64::try_from(sent.sent_at.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.latency_ns.saturating_record(ns.max(1));
        }
    }

    /// Asks while commands are under way, whose answers are noted on the way.
    async fn ask(&mut self, query: Query) -> Reply {
        let asked = self.client.submit(Request::Query(query));
        loop {
            let (token, reply) = self.client.next().await;
            if token == asked {
                return reply;
            }
            self.note(token, &reply);
        }
    }

    async fn publish(&mut self) {
        let symbols: Vec<SymbolId> = self.traders.symbols().collect();
        let mut markets = Vec::new();
        for symbol in symbols {
            let depth = self.ask(Query::Depth { symbol, limit: LEVELS }).await;
            let trades = self.ask(Query::PublicTrades { symbol, limit: 1 }).await;
            if let Some(entry) = self.registry.symbol(symbol) {
                markets.push(market_view(entry, &depth, &trades));
            }
        }
        self.view.markets = markets;
        if let Some(address) = self.address.get() {
            self.view.address.clone_from(address);
        }
        let quantile = |quantile| Duration::from_nanos(self.latency_ns.value_at_quantile(quantile));
        (self.view.median, self.view.slow) = (quantile(0.5), quantile(0.99));
        self.latency_ns.reset();
        // Drawing may be behind; the next view is newer.
        let _ = self.views.try_send(self.view.clone());
    }
}

fn market_view(entry: &SymbolEntry, depth: &Reply, trades: &Reply) -> MarketView {
    let mut view = MarketView { symbol: entry.spec.name.clone(), ..MarketView::default() };
    if let Reply::Depth { bids, asks, .. } = depth {
        let levels = |levels: &[book::Level]| {
            levels.iter().map(|level| (price(entry, level.price), qty(entry, level.qty))).collect()
        };
        (view.bids, view.asks) = (levels(bids), levels(asks));
    }
    if let Reply::Tape(rows) = trades
        && let Some(row) = rows.first()
    {
        view.last = Some(price(entry, row.price));
        view.trades = row.trade.0;
    }
    view
}

fn price(entry: &SymbolEntry, price: Price) -> String {
    let spec = &entry.spec;
    decimal(u128::from(price.0) * u128::from(spec.tick_mantissa), spec.tick_decimals)
}

fn qty(entry: &SymbolEntry, lots: u128) -> String {
    let spec = &entry.spec;
    decimal(lots.saturating_mul(u128::from(spec.lot_units)), spec.base_decimals)
}

fn decimal(units: u128, decimals: u8) -> String {
    let mut out = Vec::new();
    write_units(&mut out, units, decimals);
    String::from_utf8(out).unwrap_or_default()
}
