//! The owner's side of what is sent unasked: this shard's users' events and its books' changes, to every
//! shard with somebody who watches.
//!
//! Only what the gate has let go comes here, so nothing is told that is not durable.

use std::cell::RefCell;
use std::collections::HashMap;

use engine::{Event, Origin, Query, Reply};
use gateway::native::ws::{is_unknown_user, user_query};
use money::{ShardId, SymbolId, UserId};

use super::event_log::{EventLog, Missed};
use super::node::Node;
use super::parcel::{BookImage, News, PrivateEvent, Tell, Token};
use super::waiting::Waiter;
use super::watches::{WatchId, Watches};

/// Most users of one shard of whom events are kept for those who resume.
const MAX_EVENT_LOGS: usize = 16_384;

/// All watches on what this shard owns.
#[derive(Default)]
pub(crate) struct Feeds {
    users: RefCell<Watches<UserId>>,
    symbols: RefCell<Watches<SymbolId>>,
    logs: RefCell<Logs>,
}

/// Events kept for those who resume.
#[derive(Default)]
struct Logs {
    by_user: HashMap<UserId, EventLog>,
    /// The users of whom there are any.
    users: Vec<UserId>,
    /// Where a new one begins: no number of one that was forgotten is given again, nor taken for the
    /// last one before it.
    begin: u64,
}

/// What somebody wants to be told of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UserWatch {
    pub user: UserId,
    pub id: WatchId,
    /// It may want to resume later, or does now.
    pub resume: Option<Resume>,
}

/// Where a stream of events begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resume {
    /// With what happens from now on.
    Now,
    /// Behind this event.
    After(u64),
}

impl Node {
    /// Begins to watch a user of this shard; the answer is [`Tell::Watched`].
    pub(super) fn begin_user_watch(&self, from: Origin, watch: UserWatch) {
        if self.shard.borrow_mut().watch_user(watch.user, true) {
            self.feeds.users.borrow_mut().begin(watch.user, from.shard, watch.id);
            if watch.resume.is_some() {
                self.feeds.logs.borrow_mut().follow(watch.user);
            }
        }
        self.ask_self(Waiter::UserWatch { origin: from, watch }, &user_query(watch.user));
    }

    /// What the watch waited for is durable.
    pub(super) fn user_watch_ready(&self, origin: Origin, watch: UserWatch, reply: &Reply) {
        let UserWatch { user, id, resume } = watch;
        let exists = !is_unknown_user(reply);
        let mut missed = Missed::default();
        if exists && self.feeds.users.borrow_mut().go_live(user, origin.shard, id) {
            let logs = self.feeds.logs.borrow();
            missed = match (resume, logs.by_user.get(&user)) {
                (Some(Resume::After(after)), Some(log)) => log.missed(after),
                (Some(Resume::After(_)), None) => Missed { has_gap: true, ..Missed::default() },
                _ => missed,
            };
        }
        self.tell(origin, Tell::Watched { exists, missed });
    }

    pub(super) fn end_user_watch(&self, from: ShardId, watch: UserWatch) {
        let is_last = self.feeds.users.borrow_mut().end(watch.user, from, watch.id);
        let mut logs = self.feeds.logs.borrow_mut();
        if watch.resume.is_some()
            && let Some(log) = logs.by_user.get_mut(&watch.user)
        {
            log.leave(self.clock.now_ms());
        }
        if is_last && !logs.by_user.contains_key(&watch.user) {
            self.shard.borrow_mut().watch_user(watch.user, false);
        }
    }

    /// Begins to watch a book of this shard; the answer is [`Tell::Book`].
    pub(super) fn begin_market_watch(&self, from: Origin, symbol: SymbolId, id: WatchId) {
        self.feeds.symbols.borrow_mut().begin(symbol, from.shard, id);
        self.shard.borrow_mut().watch_market(true);
        // Both are released together: nothing is applied between them.
        let tape: std::rc::Rc<RefCell<Option<engine::TapeEntry>>> = std::rc::Rc::default();
        let newest = Query::PublicTrades { symbol, limit: 1 };
        self.ask_self(Waiter::LastTrade(tape.clone()), &newest);
        let waiter = Waiter::MarketWatch { origin: from, symbol, id, tape };
        self.ask_self(waiter, &Query::Depth { symbol, limit: usize::MAX });
    }

    /// What the watch waited for is durable.
    pub(super) fn market_watch_ready(
        &self,
        origin: Origin,
        symbol: SymbolId,
        id: WatchId,
        last_trade: Option<engine::TapeEntry>,
        reply: Reply,
    ) {
        if !self.feeds.symbols.borrow_mut().go_live(symbol, origin.shard, id) {
            return self.tell(origin, Tell::Book(None));
        }
        let image = match reply {
            Reply::Depth { bids, asks, last_update_id } => {
                Some(Box::new(BookImage { bids, asks, last_update_id, last_trade }))
            }
            _ => None,
        };
        self.tell(origin, Tell::Book(image));
    }

    pub(super) fn end_market_watch(&self, from: ShardId, symbol: SymbolId, id: WatchId) {
        let mut symbols = self.feeds.symbols.borrow_mut();
        symbols.end(symbol, from, id);
        if symbols.is_empty() {
            self.shard.borrow_mut().watch_market(false);
        }
    }

    /// Asks this shard itself; the answer comes through the gate as any other.
    fn ask_self(&self, waiter: Waiter, query: &Query) {
        let token: Token = self.waiting.insert(waiter);
        self.shard.borrow_mut().query(query, Origin { shard: self.here, token });
    }

    /// Sends a released event to those who watch.
    pub(super) fn tell_watchers(&self, event: Event) {
        match &event {
            Event::Trade { symbol, .. } | Event::Level { symbol, .. } => {
                let symbols = self.feeds.symbols.borrow();
                for &shard in symbols.shards(*symbol) {
                    if shard == self.here {
                        self.market_event(&event);
                    } else {
                        self.send_news(shard, News::Market(event.clone()));
                    }
                }
            }
            Event::Order(order) => self.tell_user_watchers(order.user, event),
            &Event::Fill { user, .. } | &Event::Balance { user, .. } => {
                self.tell_user_watchers(user, event);
            }
            // The end of credentials concerns no feed.
            Event::CredentialEnded(_) => {}
        }
    }

    fn tell_user_watchers(&self, user: UserId, event: Event) {
        let mut logs = self.feeds.logs.borrow_mut();
        let log = logs.by_user.get_mut(&user);
        let sequence = log.map_or(0, |log| log.push(event.clone()));
        drop(logs);
        let private = PrivateEvent { user, sequence, event };
        let users = self.feeds.users.borrow();
        for &shard in users.shards(user) {
            if shard == self.here {
                self.private_event(&private);
            } else {
                self.send_news(shard, News::Private(Box::new(private.clone())));
            }
        }
    }

    pub(super) fn send_news(&self, to: ShardId, news: News) {
        self.parcel_for(to).news.push(news);
    }

    /// Forgets events that nobody has come back for. Called about once a second.
    pub(crate) fn tidy_feeds(&self) {
        let now_ms = self.clock.now_ms();
        for user in self.feeds.logs.borrow_mut().forget(now_ms) {
            if !self.feeds.users.borrow().contains(user) {
                self.shard.borrow_mut().watch_user(user, false);
            }
        }
    }
}

impl Logs {
    fn follow(&mut self, user: UserId) {
        if !self.by_user.contains_key(&user) {
            if self.users.len() >= MAX_EVENT_LOGS {
                // Its streams work all the same; who resumes is told of a gap.
                return;
            }
            self.users.push(user);
        }
        self.by_user.entry(user).or_insert_with(|| EventLog::behind(self.begin)).follow();
    }

    /// Users of whom nothing is kept any more.
    fn forget(&mut self, now_ms: u64) -> Vec<UserId> {
        let by_user = &mut self.by_user;
        let is_over = |user: &UserId| by_user.get(user).is_none_or(|log| log.is_over(now_ms));
        let (over, kept) = std::mem::take(&mut self.users).into_iter().partition(is_over);
        self.users = kept;
        let over: Vec<UserId> = over;
        for user in &over {
            if let Some(log) = self.by_user.remove(user) {
                self.begin = self.begin.max(log.sequence() + 1);
            }
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use engine::BalanceReason;
    use money::AssetId;

    use super::*;

    #[test]
    fn the_number_of_an_event_that_was_forgotten_is_never_another_ones() {
        let user = UserId(1001);
        let event = || {
            let reason = BalanceReason::Deposit;
            Event::Balance { user, asset: AssetId(0), avail: 1, frozen: 0, avail_before: 0, reason }
        };
        let mut logs = Logs::default();
        let mut last = 0;
        for _ in 0..2 {
            logs.follow(user);
            let log = logs.by_user.get_mut(&user).expect("kept");
            assert_eq!(log.missed(last).has_gap, last > 0, "something may have happened meanwhile");
            for _ in 0..20 {
                let number = log.push(event());
                assert!(number > last, "{number} behind {last}");
                last = number;
            }
            log.leave(0);
            assert_eq!(logs.forget(u64::MAX), [user]);
        }
    }
}
