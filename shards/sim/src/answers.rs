//! What the clients make of an answer, and what no answer may say.

use engine::{AssetProof, Command, Engine, Refusal, Reply, TapeEntry};
use identity::Ended;
use money::{Role, SymbolId, SymbolStatus};

use crate::clients::{Asked, Clients, Intent};
use crate::known::{Known, Past};
use crate::mesh::Token;

impl Clients {
    /// An answer has reached a gateway.
    pub fn answered(&mut self, token: Token, reply: &Reply) {
        let Some(asked) = self.asked.remove(&token) else {
            assert!(self.dropped.remove(&token), "answered twice: {reply:?}");
            return;
        };
        self.totals.answers += 1;
        self.totals.busy += u64::from(*reply == Reply::Refused(Refusal::Busy));
        let Asked { trader, intent, past } = asked;
        match intent {
            Intent::Place(index) => self.on_place(trader, index, reply, &past),
            Intent::Cancel(index) => {
                let known = &mut self.traders[trader].orders[index];
                on_change(known, reply, &past);
                if let Reply::Order(view) = reply {
                    assert!(!view.status.is_open(), "canceled, but open: {view:?}");
                }
            }
            Intent::Reduce(index, _) => {
                let known = &mut self.traders[trader].orders[index];
                on_change(known, reply, &past);
                known.reducing = false;
                if let Reply::Order(view) = reply
                    && view.status.is_open()
                {
                    known.qty = view.qty;
                }
            }
            Intent::Move(index, price) => {
                let known = &mut self.traders[trader].orders[index];
                on_change(known, reply, &past);
                known.moving = false;
                if let Reply::Order(_) = reply {
                    known.price = Some(price);
                }
            }
            Intent::Order(index) => {
                let known = &mut self.traders[trader].orders[index];
                on_change(known, reply, &past);
                assert!(!matches!(reply, Reply::Refused(Refusal::Busy)), "a query is never busy");
            }
            Intent::Pay(index) => self.on_pay(trader, index, reply),
            Intent::Identity(aim) => {
                self.totals.identities += u64::from(matches!(reply, Reply::Identity(_)));
                self.credentials.answered(&aim, reply);
            }
            Intent::Withdraw(step) => {
                let ended = step.end.is_some() && matches!(reply, Reply::Withdrawal(_));
                self.totals.withdrawals += u64::from(ended);
                self.traders[trader].withdrawals.answered(&step, reply);
            }
            Intent::Withdrawals => self.on_withdrawals(reply),
            Intent::Script => self.on_script(reply),
            Intent::Patch(symbol, number) => self.on_patch(symbol, number, reply),
            Intent::Prove => self.on_proof(reply),
            Intent::CancelAll(covered, spares_since) => {
                if let Reply::CanceledAll { more: false, .. } = reply {
                    self.on_canceled_all(covered, spares_since);
                }
            }
            Intent::Tape(symbol, newest) => self.on_tape(symbol, newest, reply),
            Intent::Depth(symbol, last) => self.on_depth(symbol, last, reply),
            Intent::Other => {}
        }
    }

    fn on_place(&mut self, trader: usize, index: usize, reply: &Reply, past: &Past) {
        let known = &mut self.traders[trader].orders[index];
        let first = known.accepted.is_none();
        match reply {
            Reply::Accepted { order, cid, at_ms } => {
                assert_eq!(*cid, known.place.cid);
                known.accept(*order, Some(*at_ms));
                self.totals.accepted += u64::from(first);
            }
            Reply::Matched { order, fills } => {
                known.observe(order, past);
                let lots: u64 = fills.iter().map(|fill| fill.qty.0).sum();
                assert_eq!(order.filled.0, lots, "{order:?} {fills:?}");
                if known.is_waited_for {
                    let taken = fills.iter().filter(|fill| fill.role == Role::Taker);
                    self.seen.settled.extend(taken.map(|fill| (fill.symbol, fill.trade)));
                }
                self.totals.accepted += u64::from(first);
            }
            Reply::Refused(Refusal::Busy) => {}
            Reply::Refused(refusal) => {
                if let Refusal::InsufficientBalance { needed, avail, .. } = refusal {
                    assert!(needed > avail, "{refusal} to {:?}", known.place);
                }
                let forgotten = past.accepted && known.place.cid.is_some();
                assert!(!forgotten, "acknowledged, then forgotten: {refusal} {known:?}");
                known.given_up = true;
            }
            other => panic!("{other:?} to {:?}", known.place),
        }
    }

    fn on_pay(&mut self, trader: usize, index: usize, reply: &Reply) {
        let payment = &mut self.traders[trader].payments[index];
        match reply {
            Reply::Balance(_) => payment.acknowledged = true,
            Reply::Refused(Refusal::Busy) => {}
            Reply::Refused(Refusal::ReferenceReused) => panic!("never reused: {payment:?}"),
            Reply::Refused(_) => payment.given_up = !payment.acknowledged,
            other => panic!("{other:?} to {payment:?}"),
        }
    }

    fn on_withdrawals(&mut self, reply: &Reply) {
        let Reply::Withdrawals(rows) = reply else { return };
        for row in rows {
            let trader = self.traders.iter_mut().find(|trader| trader.user == row.user);
            trader.expect("nobody else asks for one").withdrawals.saw(row);
        }
    }

    /// The answer to a change of identities leaves the shard that decided it.
    pub fn released(&self, token: Token, reply: &Reply, engines: &[&Engine], told: &[&[Ended]]) {
        if let Some(Asked { intent: Intent::Identity(aim), .. }) = self.asked.get(&token) {
            self.credentials.check_released(aim, reply, engines, told);
        }
    }

    /// All of them have ended, but for those that a halt of their symbol may have kept.
    fn on_canceled_all(&mut self, covered: Vec<(usize, usize)>, spares_since: Option<Token>) {
        for (trader, index) in covered {
            let known = &mut self.traders[trader].orders[index];
            let symbol = known.place.symbol;
            let halted = |asked| self.halts.may_have_been_since(symbol, asked);
            known.cancel_promised |= !spares_since.is_some_and(halted);
        }
    }

    fn on_script(&mut self, reply: &Reply) {
        let done = match reply {
            Reply::Refused(Refusal::AssetExists | Refusal::SymbolExists | Refusal::UserExists) => {
                true
            }
            Reply::Refused(Refusal::Busy) => false,
            Reply::Refused(refusal) => panic!("script: {refusal}"),
            _ => true,
        };
        // That it exists is no promise that every shard knows it yet.
        let promised = !matches!(reply, Reply::Refused(_));
        self.script_answered(done);
        if done && !promised {
            self.acknowledged.pop();
        }
    }

    fn on_patch(&mut self, symbol: SymbolId, number: u64, reply: &Reply) {
        let patches = self.patches.entry(symbol).or_default();
        patches.under_way = false;
        if matches!(reply, Reply::Symbol(_)) && patches.asked == number && !patches.stray {
            patches.in_force = Some(patches.last);
            if patches.last.status.is_some_and(|status| status != SymbolStatus::Halted) {
                self.halts.end(symbol, self.next_token);
            }
        }
    }

    fn on_proof(&mut self, reply: &Reply) {
        match reply {
            Reply::Proof(proofs) => {
                assert!(proofs.iter().all(AssetProof::is_balanced), "not conserved: {proofs:?}");
                self.totals.proofs += 1;
                self.proof.clone_from(proofs);
            }
            Reply::Refused(Refusal::Busy) => {}
            other => panic!("{other:?} to a proof"),
        }
    }

    fn on_tape(&mut self, symbol: SymbolId, newest: u64, reply: &Reply) {
        let Reply::Tape(entries) = reply else { return };
        let newest_now = entries.last().map_or(newest, |entry| entry.trade.0);
        assert!(newest_now >= newest, "trades were unseen: {symbol} {newest} {entries:?}");
        for entry in entries {
            self.see(symbol, entry);
        }
        let last = self.seen.last_trade.entry(symbol).or_default();
        *last = (*last).max(newest_now);
    }

    /// A trade that somebody has seen stays as it is.
    pub fn see(&mut self, symbol: SymbolId, entry: &TapeEntry) {
        let known = self.seen.tape.entry((symbol, entry.trade)).or_insert(*entry);
        assert_eq!(known, entry, "a trade changed");
    }

    fn on_depth(&mut self, symbol: SymbolId, last: u64, reply: &Reply) {
        let Reply::Depth { last_update_id, .. } = reply else { return };
        assert!(
            *last_update_id >= last,
            "a book went back: {symbol} from {last} to {last_update_id}"
        );
        let seen = self.seen.last_update.entry(symbol).or_default();
        *seen = (*seen).max(*last_update_id);
    }
}

/// An answer to what changes or shows one order.
fn on_change(known: &mut Known, reply: &Reply, past: &Past) {
    match reply {
        Reply::Order(view) => known.observe(view, past),
        Reply::Refused(Refusal::OrderNotFound) => {
            assert!(!past.accepted, "acknowledged, then forgotten: {known:?}");
        }
        Reply::Refused(Refusal::OrderNotOpen(status)) if known.accepted.is_some() => {
            known.end(*status);
        }
        Reply::Refused(_) => {}
        other => panic!("{other:?} about {:?}", known.place),
    }
}

/// Whether a script line can be seen on every shard once it is acknowledged.
pub(crate) fn is_definition(command: &Command) -> bool {
    matches!(
        command,
        Command::CreateAsset(_) | Command::CreateSymbol(_) | Command::CreatePlacedSymbol(_)
    )
}

#[cfg(test)]
mod tests {
    use engine::Reply;
    use money::{OrderId, Placement, SymbolId};

    use crate::clients::{Asked, Clients, Intent};
    use crate::known::{Known, Past};
    use crate::mesh::Token;
    use crate::random::Random;

    const SYMBOL: SymbolId = SymbolId(0);

    /// One acknowledged order, and a user's cancel of all that was asked as request 10.
    fn cancel_all_as_10() -> Clients {
        let mut random = Random::new(1);
        let mut clients = Clients::new(Placement::new(2), 10, Random::new(2));
        let user = clients.traders[0].user;
        let mut place = clients.market.place(user, &mut random);
        place.symbol = SYMBOL;
        let mut known = Known::new(place);
        known.accept(OrderId(1), None);
        clients.traders[0].orders.push(known);
        let intent = Intent::CancelAll(vec![(0, 0)], Some(10));
        clients.asked.insert(10, Asked { trader: 0, intent, past: Past::default() });
        clients
    }

    fn promises_an_end(mut clients: Clients, token: Token) -> bool {
        clients.answered(token, &Reply::CanceledAll { count: 0, more: false });
        clients.traders[0].orders[0].cancel_promised
    }

    #[test]
    fn a_halt_that_overtakes_a_cancel_of_all_spares_its_orders() {
        assert!(promises_an_end(cancel_all_as_10(), 10));
        let mut overtaken = cancel_all_as_10();
        overtaken.halts.ask(SYMBOL, 11);
        assert!(!promises_an_end(overtaken, 10));
        let mut reopened = cancel_all_as_10();
        reopened.halts.ask(SYMBOL, 3);
        reopened.halts.end(SYMBOL, 7);
        assert!(promises_an_end(reopened, 10), "trading again before anybody asked");
    }
}
