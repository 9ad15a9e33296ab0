//! The symbol's side: the naive book, and who is told what.

use book::{Book, Event, Moved, NaiveBook, Outcome, Reduced, RestingOrder, Taker};
use engine::{Answer, Fill, Message, REFERENCE_STEP_PPM, Submit, TapeEntry};
use money::{
    Lots, OrderId, Price, Role, ShardId, Side, SymbolId, SymbolSpec, SymbolStatus, TradeId, UserId,
};

use super::shard::NaiveShard;

/// The book of one symbol and its trades.
pub(crate) struct NaiveMarket {
    pub book: NaiveBook,
    pub tape: Vec<TapeEntry>,
}

/// Who came in.
#[derive(Clone, Copy)]
struct Incoming {
    order: OrderId,
    user: UserId,
    side: Side,
    symbol: SymbolId,
}

impl NaiveMarket {
    pub fn new(spec: &SymbolSpec) -> NaiveMarket {
        let scale = spec.scale().expect("was checked");
        NaiveMarket { book: NaiveBook::new(scale), tape: Vec::new() }
    }

    pub fn orders(&self, side: Side) -> Vec<RestingOrder> {
        let mut orders = Vec::new();
        self.book.orders(side, None, usize::MAX, &mut orders);
        orders
    }
}

impl NaiveShard {
    fn home(&self, user: UserId) -> ShardId {
        self.placement.home_of(user)
    }

    /// An order may come before the symbol that it is for: two shards tell of the one and the other.
    fn is_trading(&self, symbol: SymbolId) -> bool {
        self.books.contains_key(&symbol)
            && self.symbol(symbol).spec.rules.status == SymbolStatus::Trading
    }

    fn market(&mut self, symbol: SymbolId) -> &mut NaiveMarket {
        self.books.get_mut(&symbol).expect("the book is here")
    }

    fn answer(&mut self, user: UserId, order: OrderId, answer: Answer) {
        let at_ms = self.now_ms;
        let done = Message::Done { ticket: 0, order, answer, probes: 0, at_ms };
        self.tell(self.home(user), done);
    }

    pub fn match_order(&mut self, submit: &Submit) {
        let (order, user, symbol) = (submit.order, submit.user, submit.symbol);
        if !self.is_trading(symbol) {
            return self.answer(user, order, Answer::NotTrading);
        }
        let taker = Taker {
            id: order,
            user,
            side: submit.side,
            price: submit.price,
            qty: submit.qty,
            budget: submit.budget,
            time_in_force: submit.time_in_force,
            post_only: submit.post_only,
            market: submit.market,
            self_trade: submit.self_trade,
        };
        let mut events = Vec::new();
        let outcome = self.market(symbol).book.place(&taker, &mut events);
        self.spread(Incoming { order, user, side: submit.side, symbol }, &events);
        self.answer(user, order, answer_of(outcome));
    }

    fn spread(&mut self, incoming: Incoming, events: &[Event]) {
        let mut last = None;
        for event in events {
            match *event {
                Event::Fill { maker, maker_user, price, qty, .. } => {
                    self.trade(incoming, (maker, maker_user), price, qty);
                    last = Some(price);
                }
                Event::MakerExpired { maker, maker_user, .. } => {
                    let at_ms = self.now_ms;
                    let expired = Message::MakerExpired { order: maker, at_ms };
                    self.tell(self.home(maker_user), expired);
                }
            }
        }
        let Some(price) = last else { return };
        if let Some(known) = self.symbol(incoming.symbol).reference {
            let distance = u128::from(known.0.abs_diff(price.0)) * 1_000_000;
            let step = u128::from(known.0) * u128::from(REFERENCE_STEP_PPM);
            if distance < step || known == price {
                return;
            }
        }
        self.publish(incoming.symbol, price);
    }

    fn trade(&mut self, incoming: Incoming, maker: (OrderId, UserId), price: Price, qty: Lots) {
        let Incoming { order: taker, user, side, symbol } = incoming;
        let (at_ms, rules) = (self.now_ms, self.symbol(symbol).spec.rules);
        let tape = &mut self.market(symbol).tape;
        let trade = TradeId(tape.len() as u64 + 1);
        let (maker, maker_user) = maker;
        tape.push(TapeEntry { trade, taker, maker, price, qty, taker_side: side, at_ms });
        let fill = |order, side, role, fee_ppm| {
            Message::Fill(Fill { order, symbol, trade, price, qty, side, role, fee_ppm, at_ms })
        };
        let other = match side {
            Side::Buy => Side::Sell,
            Side::Sell => Side::Buy,
        };
        self.tell(self.home(user), fill(taker, side, Role::Taker, rules.taker_fee_ppm));
        self.tell(self.home(maker_user), fill(maker, other, Role::Maker, rules.maker_fee_ppm));
    }

    /// The user of an order, by the shard in its id: enough to answer to.
    /// Whoever asks is the order's home: its id names the one it had when it was placed.
    fn answer_order(&mut self, home: ShardId, order: OrderId, answer: Answer) {
        let at_ms = self.now_ms;
        let done = Message::Done { ticket: 0, order, answer, probes: 0, at_ms };
        self.tell(home, done);
    }

    pub fn take_out(&mut self, home: ShardId, order: OrderId, symbol: SymbolId) {
        let market = self.books.get_mut(&symbol);
        let answer = match market.and_then(|market| market.book.cancel(order)) {
            Some(_) => Answer::Canceled,
            None => Answer::Gone,
        };
        self.answer_order(home, order, answer);
    }

    pub fn make_smaller(&mut self, home: ShardId, order: OrderId, symbol: SymbolId, by: Lots) {
        let market = self.books.get_mut(&symbol);
        let answer = match market.and_then(|market| market.book.reduce(order, by)) {
            Some(Reduced::Left { .. }) => Answer::Reduced(by),
            Some(Reduced::Removed { .. }) => Answer::Canceled,
            None => Answer::Gone,
        };
        self.answer_order(home, order, answer);
    }

    pub fn reprice(&mut self, home: ShardId, order: OrderId, symbol: SymbolId, price: Price) {
        let trading = self.is_trading(symbol);
        let resting = self.books.get(&symbol).and_then(|market| market.book.get(order));
        let Some(resting) = resting else {
            return self.answer_order(home, order, Answer::Gone);
        };
        if !trading {
            return self.answer_order(home, order, Answer::NotMoved);
        }
        let mut events = Vec::new();
        let moved = self.market(symbol).book.move_price(order, price, &mut events);
        let incoming = Incoming { order, user: resting.user, side: resting.side, symbol };
        self.spread(incoming, &events);
        let answer = match moved.expect("rests") {
            Moved::Unchanged | Moved::Placed(Outcome::Rested { .. }) => Answer::Moved,
            Moved::WouldTake => Answer::NotMoved,
            Moved::Placed(outcome) => answer_of(outcome),
        };
        self.answer_order(home, order, answer);
    }
}

fn answer_of(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Rested { .. } => Answer::Rested,
        Outcome::Filled { .. } => Answer::Filled,
        Outcome::Expired { .. } => Answer::Expired,
        Outcome::WouldTake => Answer::WouldTake,
    }
}
