//! From an engine to its pieces.

use ledger::PaymentKind;
use money::{ShardId, Side, SymbolId};

use super::piece::*;
use crate::engine::{Engine, Market};
use crate::klines::Interval;
use crate::message::{AssetTotals, Ticket};
use crate::orders::Order;
use crate::pending::{Pending, Question};

/// Cuts what an iterator gives into pieces of at most [`MAX_PIECE_ITEMS`].
struct Chunks<I> {
    items: I,
}

impl<I: Iterator> Iterator for Chunks<I> {
    type Item = Vec<I::Item>;

    fn next(&mut self) -> Option<Vec<I::Item>> {
        let chunk: Vec<I::Item> = self.items.by_ref().take(MAX_PIECE_ITEMS).collect();
        (!chunk.is_empty()).then_some(chunk)
    }
}

fn chunks<I: Iterator>(items: I) -> Chunks<I> {
    Chunks { items }
}

impl Engine {
    /// The state as pieces, made one by one: see [`Piece`]. Sorts the open orders once, else it costs
    /// what it copies. For an engine that nobody waits for: a serving shard has no time for this.
    pub fn image(&self) -> impl Iterator<Item = Piece> + '_ {
        let open = self.orders.open_by_account().into_iter();
        std::iter::once(Piece::Counters(self.counters()))
            .chain(self.definitions())
            .chain(chunks(self.registry.early_references()).map(Piece::EarlyReferences))
            .chain(chunks(self.house()).map(Piece::House))
            .chain(self.people())
            .chain(chunks(self.made_payments()).map(Piece::Payments))
            .chain(chunks(self.history.image()).map(Piece::Trades))
            .chain(chunks(open.map(Order::image)).map(Piece::Open))
            .chain(chunks(self.orders.ended().map(Order::image)).map(Piece::Ended))
            .chain(self.owned_markets().flat_map(|(symbol, market)| market.image(symbol)))
            .chain(self.placement.all().filter(|&to| to != self.here).flat_map(|to| self.peer(to)))
            .chain(chunks(self.questions()).map(Piece::Questions))
            .chain(self.open_cuts())
            .chain(self.known_identities())
            .chain(chunks(self.withdrawals.iter().cloned()).map(Piece::Withdrawals))
    }

    /// Assets, and symbols with their places.
    pub(super) fn definitions(&self) -> impl Iterator<Item = Piece> {
        let symbols = self.registry.symbols().iter();
        let symbols = symbols
            .map(|entry| SymbolImage { spec: entry.spec.clone(), reference: entry.reference });
        let placed = (0..).map(SymbolId).zip(self.registry.symbols());
        let placed = placed.filter_map(|(id, entry)| Some((id, entry.placed?)));
        chunks(self.registry.assets().iter().cloned())
            .map(Piece::Assets)
            .chain(chunks(placed).map(Piece::Placed))
            .chain(chunks(symbols).map(Piece::Symbols))
    }

    /// Roles, keys and sessions.
    pub(super) fn known_identities(&self) -> impl Iterator<Item = Piece> {
        let users = self.identities.users().map(|(user, identity)| (user, identity.clone()));
        chunks(users)
            .map(Piece::Identities)
            .chain(chunks(self.identities.keys().cloned()).map(Piece::Keys))
            .chain(chunks(self.identities.sessions().copied()).map(Piece::Sessions))
    }

    /// The markets of this shard, by symbol id.
    pub(super) fn owned_markets(&self) -> impl Iterator<Item = (SymbolId, &Market)> {
        let ids = (0..).map(SymbolId);
        ids.zip(&self.markets).filter_map(|(id, market)| Some((id, market.as_deref()?)))
    }

    fn counters(&self) -> Counters {
        Counters {
            shard: self.here,
            shards: self.placement.shards(),
            now_ms: self.now_ms,
            state_hash: self.state_hash,
            order_count: self.order_count,
            user_count: self.user_count,
            next_ticket: self.pending.next_ticket(),
            first_trade: self.history.first(),
            users: self.ledger.users() as u64,
            balances: self.ledger.slots() as u64,
            orders: self.orders.open_count() + self.orders.ended().len() as u64,
        }
    }

    pub(super) fn house(&self) -> impl Iterator<Item = HouseImage> {
        self.ledger.house().map(|(asset, totals)| HouseImage {
            asset,
            deposits: totals.deposits,
            withdrawals: totals.withdrawals,
            fees: totals.fees,
        })
    }

    fn people(&self) -> impl Iterator<Item = Piece> {
        let mut account = 0;
        std::iter::from_fn(move || {
            let (mut people, mut items) = (Vec::new(), 0);
            while (account as usize) < self.ledger.users() && items < MAX_PIECE_ITEMS {
                let person = self.person(ledger::Account(account));
                items += 1 + person.balances.len();
                people.push(person);
                account += 1;
            }
            (!people.is_empty()).then_some(Piece::People(people))
        })
    }

    pub(super) fn person(&self, account: ledger::Account) -> PersonImage {
        let balances = self.ledger.balances(account);
        PersonImage {
            user: self.ledger.user(account),
            name: self.ledger.name(account).map(str::to_owned),
            frozen: self.ledger.is_frozen(account),
            last_trade: self.history.last_of(account),
            balances: balances
                .map(|balance| (balance.asset, balance.avail, balance.frozen))
                .collect(),
        }
    }

    pub(super) fn made_payments(&self) -> impl Iterator<Item = PaymentImage> {
        self.payments.iter().map(|(user, reference, payment)| PaymentImage {
            user,
            reference: reference.to_owned(),
            is_withdrawal: payment.kind == PaymentKind::Withdrawal,
            asset: payment.asset,
            amount: payment.amount,
        })
    }

    fn peer(&self, peer: ShardId) -> impl Iterator<Item = Piece> {
        let (first_kept, kept) = self.peers.kept(peer);
        let image = PeerImage { peer, first_kept, applied: self.peers.applied(peer) };
        std::iter::once(Piece::Peer(image)).chain(chunks(kept.cloned()).map(Piece::Kept))
    }

    fn questions(&self) -> impl Iterator<Item = QuestionImage> {
        let questions = self.pending.by_ticket().into_iter();
        questions.map(|(ticket, pending)| question(ticket, pending))
    }

    fn open_cuts(&self) -> impl Iterator<Item = Piece> {
        let parts =
            self.cuts.open.iter().map(|(&ticket, cut)| {
                (ticket, CutMissing::Markers(cut.waiting.clone()), &cut.totals)
            });
        let collections = self.cuts.collections.iter().map(|(&ticket, collection)| {
            (ticket, CutMissing::Reports(collection.missing), &collection.totals)
        });
        parts.chain(collections).flat_map(|(ticket, missing, totals)| cut(ticket, missing, totals))
    }
}

fn cut(
    ticket: Ticket,
    missing: CutMissing,
    totals: &[AssetTotals],
) -> impl Iterator<Item = Piece> + '_ {
    let totals = chunks(totals.iter().copied()).map(Piece::CutTotals);
    std::iter::once(Piece::Cut(CutImage { ticket, missing })).chain(totals)
}

fn question(ticket: Ticket, pending: &Pending) -> QuestionImage {
    let kind = match pending.question {
        Question::Place(order) => QuestionKind::Place(order),
        Question::Change(order) => QuestionKind::Change(order),
        Question::CancelAll { more } => QuestionKind::CancelAll { more },
        Question::Asset(asset) => QuestionKind::Asset(asset),
        Question::Symbol(symbol) => QuestionKind::Symbol(symbol),
        Question::Identity(outcome) => QuestionKind::Identity(Box::new(outcome)),
    };
    let &Pending { outstanding, probes, count, .. } = pending;
    QuestionImage { ticket, kind, outstanding, probes, count }
}

impl Market {
    pub(super) fn image(&self, symbol: SymbolId) -> impl Iterator<Item = Piece> + '_ {
        let &Market { last_trade, last_update, .. } = self;
        let market = MarketImage { symbol, last_trade, last_update };
        let resting = [Side::Buy, Side::Sell].into_iter().flat_map(|side| {
            let orders = self.book.image(side).map(|order| RestingImage {
                id: order.id,
                user: order.user,
                price: order.price,
                remaining: order.qty,
                self_trade: order.self_trade,
                post_only: order.post_only,
            });
            chunks(orders).map(move |orders| Piece::Resting(side, orders))
        });
        std::iter::once(Piece::Market(market))
            .chain(resting)
            .chain(chunks(self.tape.entries().copied()).map(Piece::Tape))
            .chain(self.klines.minute().map(Piece::Minute))
            .chain(Interval::ALL.into_iter().flat_map(|interval| {
                let candles = self.klines.over(interval).copied();
                chunks(candles).map(move |candles| Piece::Candles(interval, candles))
            }))
    }
}
