//! The other crates' books, each driven by its own commands.

use std::cell::Cell;
use std::hint::black_box;
use std::sync::Arc;

use rust_decimal::Decimal;

use crate::Step;
use crate::harness::{Contender, Fills};

/// All peers. `filling` is what each has done before the clock starts; `is_large` leaves out those that
/// would take minutes.
pub fn all<'a>(filling: &'a [Step], steps: &'a [Step], is_large: bool) -> Vec<Contender<'a>> {
    let mut contenders = vec![matchcore(filling, steps), rust_ob(filling, steps)];
    if !is_large {
        contenders.extend([lobster(filling, steps), orderbook_rs(filling, steps)]);
    }
    contenders
}

/// It names orders by the sequence number of their command, so ids are the command's number here.
fn matchcore<'a>(filling: &'a [Step], steps: &'a [Step]) -> Contender<'a> {
    use matchcore::*;

    let mut number_of = std::collections::HashMap::new();
    let mut id_of = Vec::new();
    let command = |(number, step): (u64, &Step)| {
        id_of.push(0);
        let kind =
            match *step {
                Step::Place { id, is_buy, price, qty, is_ioc } => {
                    number_of.insert(id, number);
                    id_of[number as usize] = id;
                    let side = if is_buy { Side::Buy } else { Side::Sell };
                    let time_in_force = if is_ioc { TimeInForce::Ioc } else { TimeInForce::Gtc };
                    CommandKind::Submit(SubmitCmd {
                        order: NewOrder::Limit(LimitOrder::new(
                            Price(price),
                            QuantityPolicy::Standard { quantity: Quantity(qty) },
                            OrderFlags::new(side, false, time_in_force),
                        )),
                    })
                }
                Step::Cancel { id } => CommandKind::Cancel(CancelCmd {
                    order_id: OrderId(number_of.get(&id).copied().unwrap_or(u64::MAX)),
                    order_kind: OrderKind::Limit,
                }),
                Step::Reduce { id, left, .. } => CommandKind::Amend(AmendCmd {
                    order_id: OrderId(number_of[&id]),
                    patch: AmendPatch::Limit(LimitOrderPatch::new().with_quantity_policy(
                        QuantityPolicy::Standard { quantity: Quantity(left) },
                    )),
                }),
                Step::Move { id, price, .. } => CommandKind::Amend(AmendCmd {
                    order_id: OrderId(number_of[&id]),
                    patch: AmendPatch::Limit(LimitOrderPatch::new().with_price(Price(price))),
                }),
            };
        let meta =
            CommandMeta { sequence_number: SequenceNumber(number), timestamp: Timestamp(number) };
        Command { meta, kind }
    };
    let all = filling.iter().chain(steps);
    let mut commands: Vec<Command> = (0..).zip(all).map(command).collect();
    let measured = commands.split_off(filling.len());
    let make = move || {
        let mut book = OrderBook::new("BENCH");
        commands.iter().for_each(|command| drop(book.execute(command)));
        book
    };
    let work = move |book: &mut OrderBook, fills: &mut Fills| {
        for command in &measured {
            let outcome = book.execute(command);
            if let CommandOutcome::Applied(CommandReport::Submit(effects)) = &outcome
                && let Some(result) = effects.target_order().match_result()
            {
                for trade in result.trades() {
                    fills.add(id_of[trade.maker_order_id().0 as usize], trade.quantity().0);
                }
            }
            black_box(outcome);
        }
    };
    Contender::new("matchcore", make, work)
}

/// It has no IOC and no reduction: the first is a limit order and a cancel, the second a cancel and
/// a new order, which loses its priority.
fn rust_ob<'a>(filling: &'a [Step], steps: &'a [Step]) -> Contender<'a> {
    use rust_ob::{OrderBook, Side};

    enum Op {
        Place(u64, Side, Decimal, Decimal, bool),
        Cancel(u64),
    }
    let side = |is_buy| if is_buy { Side::Buy } else { Side::Sell };
    let translate = |steps: &[Step]| {
        let mut ops = Vec::new();
        for step in steps {
            match *step {
                Step::Place { id, is_buy, price, qty, is_ioc } => {
                    ops.push(Op::Place(id, side(is_buy), price.into(), qty.into(), is_ioc));
                }
                Step::Cancel { id } => ops.push(Op::Cancel(id)),
                Step::Reduce { id, is_buy, price, left }
                | Step::Move { id, is_buy, price, left } => {
                    ops.push(Op::Cancel(id));
                    ops.push(Op::Place(id, side(is_buy), price.into(), left.into(), false));
                }
            }
        }
        ops
    };
    let (before, ops) = (translate(filling), translate(steps));
    let make = move || {
        let mut book = OrderBook::<u64>::new();
        for op in &before {
            if let Op::Place(id, side, price, qty, _) = *op {
                book.process_limit_order(id, side, price, qty).expect("valid");
            }
        }
        book
    };
    let work = move |book: &mut OrderBook<u64>, fills: &mut Fills| {
        for op in &ops {
            match *op {
                Op::Place(id, side, price, qty, is_ioc) => {
                    let matches = book.process_limit_order(id, side, price, qty).expect("valid");
                    // The last one is the taker's total.
                    let makers = matches.len().saturating_sub(1);
                    for maker in &matches[..makers] {
                        fills.add(maker.order, maker.quantity.mantissa() as u64);
                    }
                    if is_ioc && matches.last().is_none_or(|taker| taker.quantity != qty) {
                        let _ = book.cancel_order(id);
                    }
                }
                Op::Cancel(id) => drop(black_box(book.cancel_order(id))),
            }
        }
    };
    Contender::new("rust_ob", make, work)
}

/// As rust_ob: no IOC with a price, no reduction.
fn lobster<'a>(filling: &'a [Step], steps: &'a [Step]) -> Contender<'a> {
    use lobster::{OrderBook, OrderEvent, OrderType, Side};

    let limit = |id: u64, is_buy: bool, price: u64, qty: u64| {
        let side = if is_buy { Side::Bid } else { Side::Ask };
        OrderType::Limit { id: u128::from(id), side, qty, price }
    };
    let translate = |steps: &[Step]| {
        let mut ops = Vec::new();
        for step in steps {
            match *step {
                Step::Place { id, is_buy, price, qty, is_ioc } => {
                    ops.push((limit(id, is_buy, price, qty), is_ioc));
                }
                Step::Cancel { id } => ops.push((OrderType::Cancel { id: u128::from(id) }, false)),
                Step::Reduce { id, is_buy, price, left }
                | Step::Move { id, is_buy, price, left } => {
                    ops.push((OrderType::Cancel { id: u128::from(id) }, false));
                    ops.push((limit(id, is_buy, price, left), false));
                }
            }
        }
        ops
    };
    let (before, ops) = (translate(filling), translate(steps));
    let make = move || {
        let mut book = OrderBook::new(200_000, 10, false);
        before.iter().for_each(|&(op, _)| drop(book.execute(op)));
        book
    };
    let work = move |book: &mut OrderBook, fills: &mut Fills| {
        for &(op, is_ioc) in &ops {
            let rest = match book.execute(op) {
                OrderEvent::Filled { fills: made, .. } => {
                    made.iter().for_each(|fill| fills.add(fill.order_2 as u64, fill.qty));
                    None
                }
                OrderEvent::PartiallyFilled { id, fills: made, .. } => {
                    made.iter().for_each(|fill| fills.add(fill.order_2 as u64, fill.qty));
                    Some(id)
                }
                OrderEvent::Placed { id } => Some(id),
                OrderEvent::Canceled { .. } | OrderEvent::Unfilled { .. } => None,
            };
            if let Some(id) = rest.filter(|_| is_ioc) {
                black_box(book.execute(OrderType::Cancel { id }));
            }
        }
    };
    Contender::new("lobster", make, work)
}

thread_local! {
    /// The fills that the trade listener saw: it is the only way to all fills of an IOC order.
    static HEARD: Cell<Fills> = Cell::default();
}

fn orderbook_rs<'a>(filling: &'a [Step], steps: &'a [Step]) -> Contender<'a> {
    use orderbook_rs::OrderBook;
    use pricelevel::{Id, OrderUpdate, Price, Quantity, Side, TimeInForce};

    let make = || {
        HEARD.set(Fills::default());
        let listener = |result: &orderbook_rs::TradeResult| {
            let mut fills = HEARD.get();
            for trade in result.match_result.trades().as_vec() {
                let maker = trade.maker_order_id();
                fills.add(number(&maker), trade.quantity().as_u64());
            }
            HEARD.set(fills);
        };
        OrderBook::<()>::with_trade_listener("BENCH", Arc::new(listener))
    };
    fn run(book: &mut OrderBook<()>, steps: &[Step]) {
        for step in steps {
            match *step {
                Step::Place { id, is_buy, price, qty, is_ioc } => {
                    let side = if is_buy { Side::Buy } else { Side::Sell };
                    let time_in_force = if is_ioc { TimeInForce::Ioc } else { TimeInForce::Gtc };
                    let (id, price) = (Id::from_u64(id), u128::from(price));
                    let _ =
                        black_box(book.add_limit_order(id, price, qty, side, time_in_force, None));
                }
                Step::Cancel { id } => drop(black_box(book.cancel_order(Id::from_u64(id)))),
                Step::Reduce { id, left, .. } => {
                    drop(black_box(book.update_order(OrderUpdate::UpdateQuantity {
                        order_id: Id::from_u64(id),
                        new_quantity: Quantity::new(left),
                    })));
                }
                Step::Move { id, price, .. } => {
                    drop(black_box(book.update_order(OrderUpdate::UpdatePrice {
                        order_id: Id::from_u64(id),
                        new_price: Price::new(u128::from(price)),
                    })));
                }
            }
        }
    }
    let filled = move || {
        let mut book = make();
        run(&mut book, filling);
        book
    };
    let work = move |book: &mut OrderBook<()>, fills: &mut Fills| {
        run(book, steps);
        *fills = HEARD.get();
    };
    Contender::new("orderbook-rs", filled, work)
}

/// The number inside an id made by `Id::from_u64`: the first eight bytes of its UUID.
fn number(id: &pricelevel::Id) -> u64 {
    match id {
        pricelevel::Id::Uuid(uuid) => uuid.as_u64_pair().0,
        other => panic!("not made from a number: {other:?}"),
    }
}
