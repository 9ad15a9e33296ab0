//! The user's side: orders, what they hold, and what the book's answers do to them.

use engine::{Answer, Fill, Message, OrderView, Place, Submit, TradeView};
use money::{
    AssetId, Lots, OrderId, OrderKind, OrderStatus, PPM, Price, Role, Side, SymbolId, SymbolSpec,
    SymbolStatus, Units, UserId,
};

use super::arithmetic::{affordable, base, fee, quote, quote_to_freeze};
use super::shard::{NOTHING, NaiveShard, NaiveSymbol};

pub(crate) struct NaiveOrder {
    pub view: OrderView,
    /// Lots that may still trade.
    remaining: Lots,
    /// The price that a limit buy holds for.
    held_price: Price,
    /// What a market buy may still spend.
    budget: Option<Units>,
    moving_to: Option<Price>,
    /// The book has answered once.
    matched: bool,
}

/// What an order asks of the book, and what a market buy holds.
struct Terms {
    bound: Price,
    qty: Lots,
    book_budget: Option<Units>,
    held_budget: Option<Units>,
}

impl NaiveOrder {
    /// What it holds of an asset.
    pub fn frozen(&self, spec: &SymbolSpec, asset: AssetId) -> Units {
        let paying = if self.view.side == Side::Buy { spec.quote } else { spec.base };
        if !self.view.status.is_open() || asset != paying {
            return 0;
        }
        match (self.view.side, self.budget) {
            (Side::Sell, _) => base(spec, self.remaining),
            (Side::Buy, Some(budget)) => budget,
            (Side::Buy, None) => {
                quote_to_freeze(spec, self.held_price, self.remaining).expect("was held")
            }
        }
    }

    /// As its user sees it.
    pub fn shown(&self) -> OrderView {
        let qty = if self.view.quote_qty.is_some() { self.view.filled } else { self.view.qty };
        OrderView { qty, ..self.view }
    }

    fn end(&mut self, status: OrderStatus, at_ms: u64) {
        assert!(self.view.status.is_open(), "an order ends once: {:?}", self.view);
        self.view.status = status;
        self.view.updated_at_ms = at_ms;
        self.moving_to = None;
    }
}

impl NaiveShard {
    pub fn place(&mut self, place: &Place) {
        let known = place.cid.and_then(|cid| self.find_cid(place.user, cid));
        if known.is_some() {
            // Asked again by somebody who waits: nothing happens to the order.
            return;
        }
        self.check_allowed(place.user);
        let symbol = self.symbol(place.symbol);
        check_rules(symbol, place);
        let (base_asset, quote_asset) = (symbol.spec.base, symbol.spec.quote);
        let paying = if place.side == Side::Buy { quote_asset } else { base_asset };
        let avail = self.avail(place.user, paying);
        let terms = terms(symbol, place, avail);
        self.order_count += 1;
        let id = OrderId::compose(self.here, self.order_count).expect("not used up");
        let is_market = place.kind == OrderKind::Market;
        let now_ms = self.now_ms;
        let view = OrderView {
            order: id,
            cid: place.cid,
            user: place.user,
            symbol: place.symbol,
            side: place.side,
            kind: place.kind,
            time_in_force: place.time_in_force,
            price: if is_market { Price(0) } else { place.price },
            qty: terms.qty,
            quote_qty: place.quote_qty.filter(|_| is_market),
            filled: NOTHING,
            filled_quote: 0,
            status: OrderStatus::New,
            created_at_ms: now_ms,
            updated_at_ms: now_ms,
        };
        let order = NaiveOrder {
            view,
            remaining: terms.qty,
            held_price: terms.bound,
            budget: terms.held_budget,
            moving_to: None,
            matched: false,
        };
        let needed = order.frozen(self.spec(place.symbol), paying);
        assert!(needed <= avail, "accepted with {avail}, but needs {needed}: {place:?}");
        self.orders.insert(id, order);
        self.submit(place, &terms, id);
    }

    fn submit(&mut self, place: &Place, terms: &Terms, order: OrderId) {
        let submit = Submit {
            ticket: 0,
            order,
            user: place.user,
            symbol: place.symbol,
            side: place.side,
            time_in_force: place.time_in_force,
            self_trade: place.self_trade,
            post_only: place.kind == OrderKind::PostOnly,
            market: place.kind == OrderKind::Market,
            wait: place.wait,
            price: terms.bound,
            qty: terms.qty,
            budget: terms.book_budget,
        };
        self.tell(self.shard_of(place.symbol), Message::Submit(submit));
    }

    fn order(&mut self, order: OrderId) -> &mut NaiveOrder {
        self.orders.get_mut(&order).expect("the order is at home here")
    }

    fn status(&self, symbol: SymbolId) -> SymbolStatus {
        self.spec(symbol).rules.status
    }

    fn check_open(&mut self, order: OrderId) -> SymbolId {
        let view = &self.order(order).view;
        assert!(view.status.is_open(), "changed after its end: {view:?}");
        view.symbol
    }

    pub fn ask_to_cancel(&mut self, order: OrderId) {
        let symbol = self.check_open(order);
        assert_ne!(self.status(symbol), SymbolStatus::Halted, "canceled while halted");
        let cancel = Message::Cancel { ticket: 0, order, symbol };
        self.tell(self.shard_of(symbol), cancel);
    }

    pub fn ask_to_reduce(&mut self, order: OrderId, by: Lots) {
        let symbol = self.check_open(order);
        assert_ne!(self.status(symbol), SymbolStatus::Halted, "reduced while halted");
        let user = self.order(order).view.user;
        self.check_allowed(user);
        let reduce = Message::Reduce { ticket: 0, order, symbol, by };
        self.tell(self.shard_of(symbol), reduce);
    }

    /// Until the book has answered, the order holds for the dearer price.
    pub fn ask_to_move(&mut self, order: OrderId, price: Price) {
        let symbol = self.check_open(order);
        assert_eq!(self.status(symbol), SymbolStatus::Trading, "moved while not trading");
        assert!(is_in_band(self.symbol(symbol), price), "moved out of the band");
        let user = self.order(order).view.user;
        self.check_allowed(user);
        let known = self.order(order);
        assert_eq!(known.moving_to, None, "one move at a time");
        known.moving_to = Some(price);
        known.held_price = known.view.price.max(price);
        let message = Message::Move { ticket: 0, order, symbol, price };
        self.tell(self.shard_of(symbol), message);
    }

    /// Newest first, user by user.
    pub fn cancel_all(&mut self, users: &[UserId], symbol: Option<SymbolId>, spare_halted: bool) {
        let mut chosen = Vec::new();
        for user in users {
            for view in self.orders.values().rev().map(|order| &order.view) {
                let halted = self.spec(view.symbol).rules.status == SymbolStatus::Halted;
                if view.user == *user
                    && view.status.is_open()
                    && symbol.is_none_or(|symbol| symbol == view.symbol)
                    && !(spare_halted && halted)
                {
                    chosen.push(view.order);
                }
            }
        }
        chosen.into_iter().for_each(|order| self.ask_to_cancel_one_of_many(order));
    }

    /// A local book answers each before the next is asked, so an earlier cancel cannot end this one.
    fn ask_to_cancel_one_of_many(&mut self, order: OrderId) {
        let symbol = self.order(order).view.symbol;
        let cancel = Message::Cancel { ticket: 0, order, symbol };
        self.tell(self.shard_of(symbol), cancel);
    }

    pub fn settle(&mut self, fill: &Fill) {
        let spec = self.spec(fill.symbol).clone();
        let (lots, money) = (base(&spec, fill.qty), quote(&spec, fill.price, fill.qty));
        let order = self.order(fill.order);
        assert!(fill.qty <= order.remaining, "{fill:?} of {:?}", order.view);
        let user = order.view.user;
        order.remaining.0 -= fill.qty.0;
        order.view.filled.0 += fill.qty.0;
        order.view.filled_quote += money;
        order.view.status = OrderStatus::PartiallyFilled;
        order.view.updated_at_ms = fill.at_ms;
        if let Some(budget) = &mut order.budget {
            *budget = budget.checked_sub(money).expect("the book keeps to the budget");
        }
        if let (Role::Taker, true, Some(price)) = (fill.role, order.matched, order.moving_to) {
            order.view.price = price;
        }
        if order.remaining == NOTHING && order.view.quote_qty.is_none() {
            order.end(OrderStatus::Filled, fill.at_ms);
        }
        let (paid, received) = match fill.side {
            Side::Buy => ((spec.quote, money), (spec.base, lots)),
            Side::Sell => ((spec.base, lots), (spec.quote, money)),
        };
        let fee = fee(received.1, fill.fee_ppm);
        self.house.entry(received.0).or_default().fees += fee;
        self.spend(user, paid.0, paid.1);
        self.receive(user, received.0, received.1 - fee);
        let Fill { order, symbol, trade, price, qty, side, role, at_ms, .. } = *fill;
        let fee_asset = received.0;
        let view =
            TradeView { trade, order, symbol, side, price, qty, fee, fee_asset, role, at_ms };
        self.trades.push((user, view));
    }

    pub fn expire(&mut self, order: OrderId, at_ms: u64) {
        self.order(order).end(OrderStatus::Expired, at_ms);
    }

    pub fn done(&mut self, order: OrderId, answer: Answer, at_ms: u64) {
        let order = self.order(order);
        order.matched = true;
        let view = &order.view;
        let is_filled =
            view.filled > NOTHING && (view.quote_qty.is_some() || view.filled == view.qty);
        let ended = match answer {
            Answer::Filled if is_filled => Some(OrderStatus::Filled),
            Answer::Filled | Answer::Expired => Some(OrderStatus::Expired),
            Answer::WouldTake | Answer::NotTrading => Some(OrderStatus::Rejected),
            Answer::Canceled => Some(OrderStatus::Canceled),
            _ => None,
        };
        if let Some(status) = ended {
            if view.status.is_open() {
                order.end(status, at_ms);
            }
            return;
        }
        match answer {
            Answer::Moved => {
                order.view.price = order.moving_to.take().expect("was asked for");
                order.view.updated_at_ms = at_ms;
                order.held_price = order.view.price;
            }
            Answer::NotMoved => {
                order.moving_to = None;
                order.held_price = order.view.price;
            }
            Answer::Reduced(by) => {
                order.view.qty.0 -= by.0;
                order.remaining.0 -= by.0;
                order.view.updated_at_ms = at_ms;
            }
            _ => {}
        }
    }
}

/// The engine has accepted the order: it must keep to the rules.
fn check_rules(symbol: &NaiveSymbol, place: &Place) {
    let rules = &symbol.spec.rules;
    assert_eq!(rules.status, SymbolStatus::Trading, "{place:?}");
    let is_market = place.kind == OrderKind::Market;
    if let (true, Some(quote_qty)) = (is_market, place.quote_qty) {
        assert!(quote_qty > 0 && quote_qty >= rules.min_notional, "{place:?} {rules:?}");
        return;
    }
    assert!(rules.min_qty <= place.qty && place.qty <= rules.max_qty, "{place:?} {rules:?}");
    if !is_market {
        assert!(place.price.0 > 0 && is_in_band(symbol, place.price), "{place:?} {rules:?}");
        let notional = quote(&symbol.spec, place.price, place.qty);
        assert!(notional >= rules.min_notional, "{place:?} {rules:?}");
    }
}

fn is_in_band(symbol: &NaiveSymbol, price: Price) -> bool {
    market_bound(symbol, Side::Sell) <= price && price <= market_bound(symbol, Side::Buy)
}

fn terms(symbol: &NaiveSymbol, place: &Place, avail: Units) -> Terms {
    let (spec, rules) = (&symbol.spec, &symbol.spec.rules);
    if place.kind != OrderKind::Market {
        let (bound, qty) = (place.price, place.qty);
        return Terms { bound, qty, book_budget: None, held_budget: None };
    }
    let bound = market_bound(symbol, place.side);
    match (place.side, place.quote_qty) {
        (Side::Sell, None) => Terms { bound, qty: place.qty, book_budget: None, held_budget: None },
        (Side::Buy, None) => {
            assert!(symbol.reference.is_some(), "accepted without a reference: {place:?}");
            let most = (rules.price_band_ppm > 0)
                .then(|| quote_to_freeze(spec, bound, place.qty))
                .flatten();
            let budget = Some(most.map_or(avail, |most| most.min(avail)));
            Terms { bound, qty: place.qty, book_budget: budget, held_budget: budget }
        }
        (Side::Buy, Some(_)) => {
            let (qty, budget) = (rules.max_qty, place.quote_qty);
            Terms { bound, qty, book_budget: budget, held_budget: budget }
        }
        (Side::Sell, Some(wanted)) => {
            let there = (avail / u128::from(spec.lot_units)).min(u128::from(rules.max_qty.0));
            let there = Lots(there as u64);
            let enough = affordable(spec, bound, wanted, there).0.saturating_add(1);
            let qty = Lots(enough.min(there.0));
            Terms { bound, qty, book_budget: place.quote_qty, held_budget: None }
        }
    }
}

/// The end of the band that a market order may trade up to.
fn market_bound(symbol: &NaiveSymbol, side: Side) -> Price {
    let ppm = u128::from(symbol.spec.rules.price_band_ppm);
    let Some(reference) = symbol.reference.filter(|_| ppm > 0) else {
        return if side == Side::Buy { Price(u64::MAX) } else { Price(1) };
    };
    let reference = u128::from(reference.0);
    let width = reference * ppm / u128::from(PPM);
    match side {
        Side::Buy => Price(u64::try_from(reference + width).unwrap_or(u64::MAX)),
        Side::Sell => Price(((reference - width) as u64).max(1)),
    }
}
