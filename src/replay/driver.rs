//! Sends a flow through a venue in the file's order and gathers what comes of it.
//!
//! With one shard that order is the order of the connection, so commands are pipelined. With several
//! two commands could overtake each other between the shards, so each is settled on both sides
//! before the next one is sent.
//!
//! A busy venue refuses commands for a while. Those behind the first refused one must be refused too,
//! then all of them are sent again; if one was not, it has overtaken, and that is an error.
//!
//! When the connection is lost, the shard has applied some prefix of the commands without an answer.
//! A place is safe to repeat by its `cid` and a cancel does no harm, but a place that was refused
//! could be accepted the second time, because commands behind it have freed funds, and a reduce
//! would reduce twice. So the driver asks what the commands have left behind, from the last one back;
//! everything up to the last one that left something was applied, and is not sent again.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use hdrhistogram::Histogram;
use indicatif::ProgressBar;
use money::{FixedState, Lots, OrderId, OrderStatus, TradeId, UserId};

use super::set::{Action, Operation, OrderIndex, Set};
use super::venue::{Answer, Balances, Resting, Sent, Standing, Trade, Venue, VenueError};

/// Commands between two looks at the tape, which remembers a bounded number of trades.
const TAPE_INTERVAL_COMMANDS: usize = 8_192;
/// Commands between two redraws of the progress bar.
const PROGRESS_INTERVAL_COMMANDS: usize = 256;
/// How long a busy venue is asked again.
const BUSY_LIMIT: Duration = Duration::from_secs(60);
/// Latencies above this count as this, in ns.
const MAX_LATENCY_NS: u64 = 60_000_000_000;

/// How many commands ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Orders placed and accepted.
    pub placed: u64,
    /// Orders canceled or made smaller.
    pub changed: u64,
    /// Cancels and reduces of orders that had ended or were refused.
    pub idle: u64,
    /// Times that the connection was lost and found again.
    pub reconnects: u64,
}

/// Which `ref` an order has.
pub type OrderIndexes = HashMap<OrderId, OrderIndex, FixedState>;

/// What came of a flow.
#[derive(Debug)]
pub struct Outcome {
    /// Every trade of the symbol.
    pub trades: Vec<Trade>,
    /// Orders refused for want of funds, in order.
    pub rejected: Vec<OrderIndex>,
    /// Which `ref` an order has.
    pub index_of: OrderIndexes,
    /// Resting orders: bids, then asks, each in priority order.
    pub book: [Vec<Resting>; 2],
    /// By user of the set, in its order.
    pub balances: Vec<(UserId, Balances)>,
    /// How many.
    pub counts: Counts,
    /// From sending a command to its answer, in ns.
    pub latency_ns: Histogram<u64>,
    /// What sending and answering took, without reading the tape.
    pub elapsed: Duration,
}

/// Replays the flow of a set against a venue that is prepared for it.
pub async fn drive<V: Venue>(venue: &mut V, set: &Set, progress: &ProgressBar) -> Result<Outcome> {
    let mut driver = Driver::new(venue, set, progress)?;
    driver.run().await?;
    driver.finish().await
}

/// A command that was sent.
struct UnderWay {
    sent_at: Instant,
    answered: bool,
}

struct Driver<'a, V> {
    venue: &'a mut V,
    set: &'a Set,
    progress: &'a ProgressBar,
    /// Settle every command before the next.
    wait: bool,
    window: usize,
    /// The command that is sent next.
    next: usize,
    /// Commands sent, ending before `next`; the first one has no answer yet.
    under_way: VecDeque<UnderWay>,
    /// The command sent last lets none be sent behind it.
    alone: bool,
    /// The first command that a busy venue refused, and how long to leave it alone.
    refused: Option<(usize, Duration)>,
    /// Since when it has been busy.
    busy_since: Option<Instant>,
    /// Commands up to here have their trades collected.
    collected: usize,
    /// By [`OrderIndex`]: quantity after the reductions that were answered.
    qty: Vec<Lots>,
    /// By [`OrderIndex`]: a cancel or reduce has ended it.
    canceled: Vec<bool>,
    /// Numbers of refused places.
    rejected: Vec<usize>,
    trades: Vec<Trade>,
    index_of: OrderIndexes,
    counts: Counts,
    latency_ns: Histogram<u64>,
    elapsed: Duration,
}

/// Whether each command must be settled on both sides before the next one, and how many may be under
/// way.
fn pace<V: Venue>(venue: &V) -> (bool, usize) {
    let wait = venue.shards() > 1;
    (wait, if wait { 1 } else { venue.window() })
}

impl<'a, V: Venue> Driver<'a, V> {
    fn new(venue: &'a mut V, set: &'a Set, progress: &'a ProgressBar) -> Result<Driver<'a, V>> {
        let (wait, window) = pace(venue);
        let orders = set.references.len();
        Ok(Driver {
            venue,
            set,
            progress,
            wait,
            window,
            next: 0,
            under_way: VecDeque::with_capacity(window),
            alone: false,
            refused: None,
            busy_since: None,
            collected: 0,
            qty: vec![Lots(0); orders],
            canceled: vec![false; orders],
            rejected: Vec::new(),
            trades: Vec::new(),
            index_of: OrderIndexes::with_capacity_and_hasher(orders, FixedState::new(0)),
            counts: Counts::default(),
            latency_ns: Histogram::new_with_bounds(1, MAX_LATENCY_NS, 3)?,
            elapsed: Duration::ZERO,
        })
    }

    async fn run(&mut self) -> Result<()> {
        self.progress.set_length(self.set.flow.len() as u64);
        self.progress.set_position(0);
        self.progress.set_message("commands");
        let mut begin = Instant::now();
        while self.next < self.set.flow.len() || !self.under_way.is_empty() {
            if self.under_way.is_empty() {
                // It may have come back with another number of shards.
                (self.wait, self.window) = pace(self.venue);
            }
            match self.turn().await {
                Ok(()) => {}
                Err(VenueError::Fatal(error)) => return Err(error),
                Err(VenueError::Lost(cause)) => self.resume(&cause).await?,
            }
            if self.under_way.is_empty() && self.is_tape_due() {
                self.elapsed += begin.elapsed();
                self.collect_trades().await?;
                begin = Instant::now();
            }
        }
        self.elapsed += begin.elapsed();
        self.collect_trades().await
    }

    fn is_tape_due(&self) -> bool {
        self.next - self.collected >= TAPE_INTERVAL_COMMANDS
    }

    async fn turn(&mut self) -> Result<(), VenueError> {
        while self.may_send() {
            self.send_next().await?;
        }
        let (number, answer) = self.venue.answer().await?;
        let oldest = self.next - self.under_way.len();
        let entry = number.checked_sub(oldest).and_then(|at| self.under_way.get_mut(at));
        let entry = entry.context("an answer to a command that is not under way")?;
        entry.answered = true;
        let latency = entry.sent_at.elapsed();
        if !self.is_refusal(number, answer)? {
            let latency_ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
            self.latency_ns.saturating_record(latency_ns.max(1));
            self.note(number, answer)?;
        }
        if self.refused.is_some() {
            return self.send_again_later().await;
        }
        while self.under_way.front().is_some_and(|front| front.answered) {
            self.under_way.pop_front();
        }
        if number.is_multiple_of(PROGRESS_INTERVAL_COMMANDS) {
            self.progress.set_position(number as u64);
        }
        Ok(())
    }

    fn may_send(&self) -> bool {
        let Some(operation) = self.set.flow.get(self.next) else { return false };
        if self.refused.is_some() {
            return false;
        }
        if self.under_way.is_empty() {
            return true;
        }
        self.under_way.len() < self.window
            && !self.alone
            && !self.is_tape_due()
            && self.venue.pipelines(operation.action)
    }

    /// Whether a busy venue has refused a command.
    fn is_refusal(&mut self, number: usize, answer: Answer) -> Result<bool, VenueError> {
        match (answer, self.refused) {
            (Answer::Busy(pause), first) => {
                let (first, longest) = first.unwrap_or((number, pause));
                self.refused = Some((first.min(number), longest.max(pause)));
                Ok(true)
            }
            (_, Some((first, _))) if number > first => Err(VenueError::Fatal(anyhow!(
                "the venue was too busy for command {first} and took the later {number}"
            ))),
            _ => {
                self.busy_since = None;
                Ok(false)
            }
        }
    }

    /// Once all that was under way is refused, waits and goes back to the first of it.
    async fn send_again_later(&mut self) -> Result<(), VenueError> {
        let Some((first, pause)) = self.refused else { return Ok(()) };
        if !self.under_way.iter().all(|entry| entry.answered) {
            return Ok(());
        }
        let since = *self.busy_since.get_or_insert_with(Instant::now);
        if since.elapsed() > BUSY_LIMIT {
            let limit_s = BUSY_LIMIT.as_secs();
            return Err(VenueError::Fatal(anyhow!("the venue has been busy for {limit_s} s")));
        }
        self.venue.pause(pause).await;
        self.start_again_at(first);
        Ok(())
    }

    fn start_again_at(&mut self, number: usize) {
        self.next = number;
        self.under_way.clear();
        self.alone = false;
        self.refused = None;
    }

    async fn send_next(&mut self) -> Result<(), VenueError> {
        let Operation { order, user, action } = self.set.flow[self.next];
        if let Action::Place { qty, .. } = action {
            self.qty[order.0 as usize] = qty;
        }
        self.alone = !self.venue.pipelines(action);
        let cid = self.set.reference(order);
        // Counted as sent even when sending fails: nobody knows how far it came.
        self.under_way.push_back(UnderWay { sent_at: Instant::now(), answered: false });
        self.next += 1;
        let sent = Sent { number: self.next - 1, user, cid, action, wait: self.wait };
        self.venue.send(&sent).await
    }

    fn note(&mut self, number: usize, answer: Answer) -> Result<(), VenueError> {
        let Operation { order, action, .. } = self.set.flow[number];
        let is_place = matches!(action, Action::Place { .. });
        match answer {
            Answer::Placed(id) if is_place => {
                self.counts.placed += 1;
                self.index_of.insert(id, order);
            }
            Answer::NoFunds if is_place => self.rejected.push(number),
            Answer::Changed(standing) if !is_place => {
                self.counts.changed += 1;
                self.note_standing(order, standing);
            }
            Answer::Nothing if !is_place => self.counts.idle += 1,
            other => {
                let reference = self.set.reference(order);
                let error = anyhow!("{action:?} of {reference} was answered by {other:?}");
                return Err(VenueError::Fatal(error));
            }
        }
        Ok(())
    }

    fn note_standing(&mut self, order: OrderIndex, standing: Standing) {
        self.qty[order.0 as usize] = standing.qty;
        self.canceled[order.0 as usize] |= standing.status == OrderStatus::Canceled;
    }

    /// Finds the connection again and goes back to the first command that was not applied.
    async fn resume(&mut self, cause: &anyhow::Error) -> Result<()> {
        let oldest = self.next - self.under_way.len();
        self.progress.suspend(|| eprintln!("ringbook: the connection is lost ({cause:#})"));
        self.venue.reconnect().await?;
        self.counts.reconnects += 1;
        let mut applied = oldest;
        for number in (oldest..self.next).rev() {
            if !self.under_way[number - oldest].answered && self.left_a_mark(oldest, number).await?
            {
                applied = number + 1;
                break;
            }
        }
        if let Some((first, _)) = self.refused {
            ensure!(applied <= first, "command {first} was refused and a later one was taken");
        }
        for number in oldest..applied {
            if !self.under_way[number - oldest].answered {
                let answer = self.answer_in_hindsight(number).await?;
                self.note(number, answer)?;
            }
        }
        self.progress
            .suspend(|| eprintln!("ringbook: connected again, at command {applied} of the flow"));
        self.start_again_at(applied);
        Ok(())
    }

    async fn find(&mut self, number: usize) -> Result<Option<Standing>> {
        let Operation { order, user, .. } = self.set.flow[number];
        self.venue.find(user, self.set.reference(order)).await
    }

    /// Whether a command without an answer has visibly been applied. `oldest` is the first one.
    async fn left_a_mark(&mut self, oldest: usize, number: usize) -> Result<bool> {
        let Operation { order, action, .. } = self.set.flow[number];
        // Sent again it answers when the first one is settled, which looking does not tell.
        if self.wait && matches!(action, Action::Place { .. }) {
            return Ok(false);
        }
        let Some(standing) = self.find(number).await? else { return Ok(false) };
        let before = self.qty[order.0 as usize];
        let is_news = standing.status == OrderStatus::Canceled
            && !self.canceled[order.0 as usize]
            && !self.set.flow[oldest..number].iter().any(|earlier| {
                earlier.order == order && !matches!(earlier.action, Action::Place { .. })
            });
        Ok(match action {
            Action::Place { .. } => true,
            Action::Cancel => is_news,
            Action::Reduce { by } => is_news || standing.qty.0.checked_add(by.0) == Some(before.0),
        })
    }

    /// What the answer to a command was that is known to have been applied.
    async fn answer_in_hindsight(&mut self, number: usize) -> Result<Answer> {
        let is_place = matches!(self.set.flow[number].action, Action::Place { .. });
        Ok(match (self.find(number).await?, is_place) {
            (Some(standing), true) => Answer::Placed(standing.order),
            (None, true) => Answer::NoFunds,
            (Some(standing), false) => Answer::Changed(standing),
            (None, false) => Answer::Nothing,
        })
    }

    /// Reads the tape from where it was left. No command is under way.
    async fn collect_trades(&mut self) -> Result<()> {
        self.collected = self.next;
        loop {
            let after = self.trades.last().map_or(TradeId(0), |trade| trade.id);
            let page = self.venue.tape(after).await?;
            if page.is_empty() {
                return Ok(());
            }
            for trade in page {
                let expected = self.trades.len() as u64 + 1;
                ensure!(
                    trade.id.0 == expected,
                    "the tape went on from trade {expected} to {}: more trades than it remembers",
                    trade.id
                );
                self.trades.push(trade);
            }
        }
    }

    async fn finish(mut self) -> Result<Outcome> {
        self.progress.set_message("book and balances");
        let mut book = [Vec::new(), Vec::new()];
        for (side, orders) in money::Side::ALL.iter().zip(&mut book) {
            loop {
                let after = orders.last().map(|resting: &Resting| resting.order);
                let page = self.venue.book(*side, after).await?;
                if page.is_empty() {
                    break;
                }
                orders.extend(page);
            }
        }
        let mut balances = Vec::with_capacity(self.set.users.len());
        for &user in &self.set.users {
            balances.push((user, self.venue.balances(user).await?));
        }
        self.rejected.sort_unstable();
        let rejected = self.rejected.iter().map(|&number| self.set.flow[number].order).collect();
        Ok(Outcome {
            trades: self.trades,
            rejected,
            index_of: self.index_of,
            book,
            balances,
            counts: self.counts,
            latency_ns: self.latency_ns,
            elapsed: self.elapsed,
        })
    }
}
