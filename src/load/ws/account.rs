//! Whether the events of one user are complete and in order, and which order an event is of.
//!
//! Three things must hold: a balance before an event is the one after the event before it; status and
//! filled quantity of an order never go back; an order's trades make up what is filled of it.

use std::collections::{HashMap, HashSet, VecDeque};

use super::message::{BalanceData, OrderData, TradeData, decimal};
use super::sequence::Disorder;
use crate::load::order_times::Times;

/// Orders of one user that are remembered; of older ones nothing is said any more.
const MAX_ORDERS: usize = 8_192;
/// Hexadecimal digits of a run's beginning and of an order's number in a client order id.
const CID_DIGITS: usize = 11;

/// What happened to one order.
#[derive(Debug, Default)]
struct Order {
    /// When it was to be sent, if this run did that and its first event came in time.
    intended_ns: Option<u64>,
    /// Seen from its beginning, so that its trades can be added up.
    is_whole: bool,
    rank: Option<u8>,
    filled: i128,
    traded: i128,
    /// Trades that it took before its first event: market and number.
    taken: Vec<(usize, u64)>,
}

/// What one user was told.
#[derive(Debug, Default)]
pub struct Account {
    orders: HashMap<u64, Order>,
    /// The orders, oldest first.
    ages: VecDeque<u64>,
    /// `avail` and `frozen` by asset.
    balances: HashMap<String, (i128, i128)>,
    /// By symbol, the last trade and which sides of it were told.
    trades: HashMap<String, (u64, HashSet<String>)>,
}

/// What an order's event means.
#[derive(Debug, PartialEq, Eq)]
pub struct OrderNews {
    /// It is the first of an order of this run, which was to be sent then.
    pub first_intended_ns: Option<u64>,
    /// Trades that it turns out to have taken.
    pub taken: Vec<(usize, u64)>,
}

/// An event that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable;

impl Account {
    /// `order.update`. Times are looked up by the numbers of this run's orders, which have `run`
    /// before them in their client order ids.
    pub fn order(
        &mut self,
        data: &OrderData<'_>,
        run: &str,
        times: &Times,
        wrong: &mut Disorder,
    ) -> Result<OrderNews, Unreadable> {
        let filled = decimal(&data.filled_qty).ok_or(Unreadable)?;
        let rank = rank(&data.status);
        self.remember(data.order_id);
        let order = self.orders.entry(data.order_id).or_default();
        let mut news = OrderNews { first_intended_ns: None, taken: Vec::new() };
        match order.rank {
            None => {
                let number = data.cid.as_deref().and_then(|cid| number_of(cid, run));
                order.intended_ns = number.and_then(|number| times.take(number));
                order.is_whole = order.intended_ns.is_some();
                news.first_intended_ns = order.intended_ns;
                news.taken = std::mem::take(&mut order.taken);
            }
            Some(before) if (rank, filled) == (before, order.filled) => wrong.duplicates += 1,
            Some(before) if rank < before || filled < order.filled => wrong.disorder += 1,
            Some(before) if before == ENDED => wrong.disorder += 1,
            Some(_) => {}
        }
        order.rank = order.rank.max(Some(rank));
        order.filled = order.filled.max(filled);
        Ok(news)
    }

    /// `trade`. Says when the order was to be sent, if the user's order took the trade and that is
    /// known already.
    pub fn trade(
        &mut self,
        data: &TradeData<'_>,
        market: Option<usize>,
        wrong: &mut Disorder,
    ) -> Result<Option<u64>, Unreadable> {
        let qty = decimal(&data.qty).ok_or(Unreadable)?;
        self.trade_in_order(data, wrong);
        self.remember(data.order_id);
        let order = self.orders.entry(data.order_id).or_default();
        order.traded += qty;
        match (&*data.role, market) {
            ("TAKER", Some(market)) if order.rank.is_none() => {
                order.taken.push((market, data.trade_id));
                Ok(None)
            }
            ("TAKER", _) => Ok(order.intended_ns),
            _ => Ok(None),
        }
    }

    /// Numbers of a symbol's trades rise; who trades with itself is told of both sides.
    fn trade_in_order(&mut self, data: &TradeData<'_>, wrong: &mut Disorder) {
        if let Some((last, roles)) = self.trades.get_mut(&*data.symbol) {
            match data.trade_id.cmp(last) {
                std::cmp::Ordering::Less => wrong.disorder += 1,
                std::cmp::Ordering::Equal => {
                    wrong.duplicates += u64::from(!roles.insert(data.role.clone().into_owned()));
                }
                std::cmp::Ordering::Greater => {
                    *last = data.trade_id;
                    roles.clear();
                    roles.insert(data.role.clone().into_owned());
                }
            }
        } else {
            let roles = HashSet::from([data.role.clone().into_owned()]);
            self.trades.insert(data.symbol.clone().into_owned(), (data.trade_id, roles));
        }
    }

    /// `balance.update`.
    pub fn balance(
        &mut self,
        data: &BalanceData<'_>,
        wrong: &mut Disorder,
    ) -> Result<(), Unreadable> {
        let number = |text: &str| decimal(text).ok_or(Unreadable);
        let (avail, frozen) = (number(&data.avail)?, number(&data.frozen)?);
        let before = avail - number(&data.delta)?;
        match self.balances.get_mut(&*data.asset) {
            None => {
                self.balances.insert(data.asset.clone().into_owned(), (avail, frozen));
            }
            Some(last) => {
                if before != last.0 {
                    match *last == (avail, frozen) {
                        true => wrong.duplicates += 1,
                        false => wrong.gaps += 1,
                    }
                }
                *last = (avail, frozen);
            }
        }
        Ok(())
    }

    /// The end: orders whose trades do not make up what is filled of them.
    pub fn finish(&self, wrong: &mut Disorder) {
        let orders = self.orders.values().filter(|order| order.is_whole);
        for order in orders.filter(|order| order.filled != order.traded) {
            match order.traded < order.filled {
                true => wrong.gaps += 1,
                false => wrong.duplicates += 1,
            }
        }
    }

    fn remember(&mut self, order: u64) {
        if self.orders.contains_key(&order) {
            return;
        }
        if self.ages.len() == MAX_ORDERS
            && let Some(oldest) = self.ages.pop_front()
        {
            self.orders.remove(&oldest);
        }
        self.ages.push_back(order);
    }
}

const PARTIALLY_FILLED: u8 = 1;
const ENDED: u8 = 2;

/// A status never goes to one with a lower rank.
fn rank(status: &str) -> u8 {
    match status {
        "FILLED" | "CANCELED" | "CANCELLED" | "EXPIRED" | "REJECTED" => ENDED,
        "PARTIALLY_FILLED" => PARTIALLY_FILLED,
        _ => 0,
    }
}

/// The client order id of an order.
pub fn cid(run: &str, number: u64) -> String {
    format!("{run}-{number:0CID_DIGITS$x}")
}

/// What a run's client order ids begin with; as those of `load http` do.
pub fn run_name(run_ms: u64) -> String {
    format!("{run_ms:0CID_DIGITS$x}")
}

fn number_of(cid: &str, run: &str) -> Option<u64> {
    let digits = cid.strip_prefix(run)?.strip_prefix('-')?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::super::sequence::IN_ORDER;
    use super::*;

    const RUN: &str = "19abcdef012";

    struct Case {
        account: Account,
        times: Times,
        wrong: Disorder,
    }

    impl Case {
        fn new() -> Case {
            let times = Times::new();
            (0..10).for_each(|number| times.note(number, number + 1_000));
            Case { account: Account::default(), times, wrong: IN_ORDER }
        }

        fn order(&mut self, order_id: u64, status: &str, filled: &str) -> OrderNews {
            let cid = Some(cid(RUN, order_id).into());
            let (status, filled_qty) = (status.into(), filled.into());
            let data = OrderData { order_id, cid, status, filled_qty };
            self.account.order(&data, RUN, &self.times, &mut self.wrong).unwrap()
        }

        fn trade(&mut self, trade_id: u64, order_id: u64, qty: &str, role: &str) -> Option<u64> {
            let (symbol, qty, role) = ("A_B".into(), qty.into(), role.into());
            let data = TradeData { trade_id, order_id, symbol, qty, role };
            self.account.trade(&data, Some(0), &mut self.wrong).unwrap()
        }

        fn balance(&mut self, avail: &str, frozen: &str, delta: &str) {
            let asset = "A".into();
            let (avail, frozen, delta) = (avail.into(), frozen.into(), delta.into());
            let data = BalanceData { asset, avail, frozen, delta };
            self.account.balance(&data, &mut self.wrong).unwrap();
        }

        fn end(mut self) -> Disorder {
            self.account.finish(&mut self.wrong);
            self.wrong
        }
    }

    #[test]
    fn an_order_is_known_by_its_first_event_and_that_once() {
        let mut case = Case::new();
        assert_eq!(case.order(3, "NEW", "0").first_intended_ns, Some(1_003));
        assert_eq!(case.trade(1, 3, "1", "TAKER"), Some(1_003));
        assert_eq!(case.order(3, "FILLED", "1").first_intended_ns, None);
        assert_eq!(case.order(77, "NEW", "0").first_intended_ns, None, "not of this run");
        assert_eq!(case.end(), IN_ORDER);
    }

    #[test]
    fn a_trade_before_the_order_is_told_with_it() {
        let mut case = Case::new();
        assert_eq!(case.trade(1, 3, "1", "TAKER"), None);
        assert_eq!(case.order(3, "FILLED", "1").taken, [(0, 1)]);
        assert_eq!(case.end(), IN_ORDER);
    }

    #[test]
    fn an_order_never_goes_back() {
        let mut case = Case::new();
        case.order(3, "PARTIALLY_FILLED", "1");
        case.order(3, "PARTIALLY_FILLED", "1");
        case.order(3, "NEW", "0");
        case.order(3, "CANCELED", "1");
        case.order(3, "FILLED", "2");
        assert_eq!((case.wrong.duplicates, case.wrong.disorder, case.wrong.gaps), (1, 2, 0));
    }

    #[test]
    fn a_trade_that_is_not_told_is_a_gap() {
        let mut case = Case::new();
        case.order(3, "PARTIALLY_FILLED", "1");
        case.trade(8, 3, "1", "MAKER");
        case.order(3, "FILLED", "2.5");
        assert_eq!(case.end(), Disorder { gaps: 1, ..IN_ORDER });
    }

    #[test]
    fn trades_rise_and_both_sides_may_be_ones_own() {
        let mut case = Case::new();
        case.trade(8, 70, "1", "MAKER");
        case.trade(8, 71, "1", "TAKER");
        assert_eq!(case.wrong, IN_ORDER);
        case.trade(8, 71, "1", "TAKER");
        case.trade(7, 70, "1", "MAKER");
        assert_eq!((case.wrong.duplicates, case.wrong.disorder), (1, 1));
    }

    #[test]
    fn each_balance_follows_from_the_one_before() {
        let mut case = Case::new();
        case.balance("10.00", "0.00", "+10.00");
        case.balance("8.00", "2.00", "-2.00");
        case.balance("8.00", "0.00", "0.00");
        assert_eq!(case.wrong, IN_ORDER);
        case.balance("5.00", "0.00", "-1.00");
        assert_eq!(case.wrong, Disorder { gaps: 1, ..IN_ORDER });
        case.balance("5.00", "0.00", "-1.00");
        assert_eq!(case.wrong, Disorder { gaps: 1, duplicates: 1, ..IN_ORDER });
    }

    #[test]
    fn only_so_many_orders_are_remembered() {
        let mut case = Case::new();
        (0..MAX_ORDERS as u64 + 5).for_each(|order| {
            case.order(order, "NEW", "0");
        });
        assert_eq!((case.account.orders.len(), case.account.ages.len()), (MAX_ORDERS, MAX_ORDERS));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let (mut case, asset) = (Case::new(), "A".into());
        let data = BalanceData { asset, avail: "x".into(), frozen: "0".into(), delta: "0".into() };
        assert_eq!(case.account.balance(&data, &mut case.wrong), Err(Unreadable));
    }
}
