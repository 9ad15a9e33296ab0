//! The traders of one thread: orders go out when they are due, on whichever trader's connection is free.
//!
//! As with `load http`, an order that is due while all are busy goes behind the fewest others, up to the
//! pipeline's bound; beyond that it waits, and its latency with it. A cancel goes to its order's owner
//! whatever is under way there.

use std::collections::VecDeque;

use super::account::cid;
use super::session::{Role, Session, Trader};
use super::shared::Shared;
use super::wire::Fault;
use crate::load::actions::{Action, Actions, OrderName, Place};
use crate::load::market::Market;
use crate::load::recorder::{ErrorAnswer, Recorder, Times};
use crate::load::schedule::{Clock, Schedule};

/// How answers count in the recorder, which knows statuses as HTTP has them.
const DONE: u16 = 200;
const REFUSED: u16 = 400;

/// A message that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub struct UnderWay {
    id: u64,
    action: Action,
    intended_ns: u64,
    sent_ns: u64,
}

/// What one thread's traders do.
pub struct Desk {
    pub clock: Clock,
    pub actions: Actions,
    pub markets: Vec<Market>,
    pub pipeline: usize,
    /// The user of the first session; the next one's is one more.
    pub first_user: u64,
    /// The sessions of traders are the first ones.
    pub traders: usize,
    pub run: Option<Run>,
    pub idle: VecDeque<usize>,
    pub cursor: usize,
    pub under_way: usize,
    pub was_blocked: bool,
}

/// Known once all connections are open.
pub struct Run {
    pub schedule: Schedule,
    pub recorder: Recorder,
}

impl Desk {
    /// Sends what is due. Returns the connections that broke by it.
    pub fn start_due(
        &mut self,
        sessions: &mut [Session],
        shared: &Shared,
        broken: &mut Vec<(usize, Fault)>,
    ) {
        let was_blocked = std::mem::replace(&mut self.was_blocked, false);
        loop {
            let now_ns = self.clock.now_ns();
            let Some(run) = &mut self.run else { return };
            let Some(intended_ns) = run.schedule.due(now_ns) else { return };
            let Some(at) = self.pick(sessions) else {
                self.was_blocked = true;
                return;
            };
            let Some(run) = &mut self.run else { return };
            run.schedule.take();
            // Who waited for room was held up by the server, not by us.
            if !was_blocked {
                run.recorder.lagged(intended_ns, now_ns);
            }
            let (at, action) = match self.actions.next() {
                Action::Cancel(order) => {
                    self.idle.push_front(at);
                    ((order.user - self.first_user) as usize, Action::Cancel(order))
                }
                Action::Place(place) => {
                    let user = self.first_user + at as u64;
                    let order = OrderName { user, ..place.order };
                    (at, Action::Place(Place { order, ..place }))
                }
                // The settings have refused a mix with those.
                other => (at, other),
            };
            run.recorder.started(action.kind(), intended_ns);
            if let Err(fault) = self.send(at, &mut sessions[at], action, intended_ns, shared) {
                broken.push((at, fault));
                return;
            }
        }
    }

    fn send(
        &mut self,
        at: usize,
        session: &mut Session,
        action: Action,
        intended_ns: u64,
        shared: &Shared,
    ) -> Result<(), Fault> {
        let Some(run) = &mut self.run else { return Ok(()) };
        let Role::Trader(trader) = &mut session.role else {
            return Err(format!("session {at} does not trade"));
        };
        if !session.is_ready {
            run.recorder.lost(action.kind(), intended_ns);
            return Ok(());
        }
        if let Action::Place(place) = &action {
            shared.orders.note(place.order.number, intended_ns);
        }
        let id = trader.next_id;
        trader.next_id += 1;
        let text = render(&action, id, &self.markets, &shared.run);
        let sent_ns = self.clock.now_ns();
        trader.under_way.push(UnderWay { id, action, intended_ns, sent_ns });
        self.under_way += 1;
        session.wire.send(text)
    }

    /// The trader for the next order, if one has room.
    fn pick(&mut self, sessions: &[Session]) -> Option<usize> {
        let depth = |at: usize| match &sessions[at].role {
            Role::Trader(trader) if sessions[at].is_ready => Some(trader.under_way.len()),
            _ => None,
        };
        while let Some(at) = self.idle.pop_front() {
            if depth(at) == Some(0) {
                return Some(at);
            }
        }
        let turn = (self.cursor..self.traders).chain(0..self.cursor);
        let free = turn.filter_map(|at| depth(at).map(|depth| (at, depth)));
        let (at, depth) = free.min_by_key(|&(_, depth)| depth)?;
        self.cursor = (at + 1) % self.traders;
        (depth < self.pipeline).then_some(at)
    }

    /// An answer has come, perhaps an error with its code and words.
    pub fn answered(
        &mut self,
        trader: &mut Trader,
        id: u64,
        error: Option<(u32, &str)>,
        now_ns: u64,
    ) {
        let Some(at) = trader.under_way.iter().position(|waiting| waiting.id == id) else { return };
        let UnderWay { action, intended_ns, sent_ns, .. } = trader.under_way.remove(at);
        self.under_way -= 1;
        let Some(run) = &mut self.run else { return };
        let times = Times { intended_ns, sent_ns, answered_ns: now_ns };
        let status = if error.is_some() { REFUSED } else { DONE };
        run.recorder.answered(action.kind(), status, times);
        match (error, &action) {
            (Some((code, words)), _) => {
                let error = ErrorAnswer { status, code };
                run.recorder.refused(intended_ns, error, words.to_owned());
            }
            (None, Action::Place(place)) => self.actions.accepted(place),
            (None, _) => {}
        }
    }

    /// A trader's connection broke.
    pub fn lost(&mut self, trader: &mut Trader) {
        let lost = trader.under_way.drain(..);
        self.under_way -= lost.len();
        for UnderWay { action, intended_ns, .. } in lost {
            if let Some(run) = &mut self.run {
                run.recorder.lost(action.kind(), intended_ns);
            }
        }
    }

    /// Whether all is sent and answered.
    pub fn is_through(&self, now_ns: u64) -> bool {
        let is_over = |run: &Run| run.schedule.next_ns(now_ns).is_none();
        self.run.as_ref().is_some_and(is_over) && self.under_way == 0 && !self.was_blocked
    }

    /// When the next order is due, if there is room for it.
    pub fn next_ns(&self, now_ns: u64) -> Option<u64> {
        let run = self.run.as_ref().filter(|_| !self.was_blocked)?;
        run.schedule.next_ns(now_ns)
    }

    /// Who has no answer, and who was never sent.
    pub fn finish(self, sessions: &mut [Session], now_ns: u64) -> Option<Recorder> {
        let Run { mut schedule, mut recorder } = self.run?;
        for session in sessions {
            if let Role::Trader(trader) = &mut session.role {
                for UnderWay { action, intended_ns, .. } in trader.under_way.drain(..) {
                    recorder.unanswered(action.kind(), intended_ns, now_ns);
                }
            }
        }
        for intended_ns in schedule.take_rest() {
            recorder.unsent(intended_ns, now_ns);
        }
        Some(recorder)
    }
}

/// The message for an action.
fn render(action: &Action, id: u64, markets: &[Market], run: &str) -> String {
    match *action {
        Action::Place(Place { order, market, is_buy, price, wait, .. }) => {
            let Market { symbol, prices, qty, .. } = &markets[market];
            let side = if is_buy { "BUY" } else { "SELL" };
            let wait = if wait { r#""wait":true,"# } else { "" };
            format!(
                r#"{{"type":"order.place","id":{id},{wait}"data":{{"symbol":"{symbol}","side":"{side}","type":"LIMIT","price":"{}","qty":"{qty}","cid":"{}"}}}}"#,
                prices[price],
                cid(run, order.number),
            )
        }
        Action::Cancel(OrderName { number, .. }) => {
            let cid = cid(run, number);
            format!(r#"{{"type":"order.cancel","id":{id},"data":{{"cid":"{cid}"}}}}"#)
        }
        // Asked over HTTP only.
        Action::Balances { .. } | Action::Depth { .. } => {
            format!(r#"{{"type":"ping","id":{id}}}"#)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn market() -> Market {
        Market {
            symbol: "BTC_USDT".into(),
            assets: ["BTC".into(), "USDT".into()],
            prices: vec!["99.99".into(), "100.00".into()],
            qty: "0.1".into(),
        }
    }

    #[test]
    fn a_message_has_what_its_action_says() {
        let order = OrderName { user: 7, number: 0xabc };
        let place =
            Place { order, market: 0, is_buy: true, price: 1, wait: true, is_passive: false };
        let read = |action| -> Value {
            serde_json::from_str(&render(&action, 5, &[market()], "19abcdef012")).unwrap()
        };
        let json = read(Action::Place(place));
        assert_eq!((&json["type"], &json["id"]), (&"order.place".into(), &5.into()));
        assert_eq!((&json["wait"], &json["data"]["side"]), (&true.into(), &"BUY".into()));
        assert_eq!(json["data"]["price"], "100.00");
        assert_eq!(json["data"]["cid"], "19abcdef012-00000000abc");
        let canceled = read(Action::Cancel(order));
        assert_eq!(canceled["data"]["cid"], json["data"]["cid"]);
        let json = read(Action::Place(Place { wait: false, is_buy: false, ..place }));
        assert!(json.get("wait").is_none() && json["data"]["side"] == "SELL");
    }
}
