//! Requests, built once and only filled in: user, side, price and client order id have fields of a
//! fixed width, so that a request costs a copy and a few digits, and every length is known before.
//!
//! A shorter value is padded with spaces where HTTP and JSON allow them.

use crate::load::actions::{Action, OrderName, Place};
use crate::load::market::Market;

/// A user id has at most so many digits.
const USER_WIDTH: usize = 16;
/// `"SELL"` with its quotes.
const SIDE_WIDTH: usize = 6;
/// Hexadecimal digits of an order's number.
const NUMBER_WIDTH: usize = 11;
/// And of the run, which makes client order ids unique among the runs.
const RUN_WIDTH: usize = 11;

// Stand for the fields while a template is built; no request has them.
const USER: u8 = 1;
const SIDE: u8 = 2;
const PRICE: u8 = 3;
const NUMBER: u8 = 4;

/// One request with fields to fill in.
struct Template {
    bytes: Vec<u8>,
    user: Option<usize>,
    side: Option<usize>,
    price: Option<usize>,
    number: Option<usize>,
}

/// Of one market.
struct MarketTemplates {
    place: Template,
    place_wait: Template,
    depth: Template,
    /// Each with quotes, all of the same width.
    prices: Vec<Vec<u8>>,
}

/// All requests of a run.
pub struct Requests {
    markets: Vec<MarketTemplates>,
    cancel: Template,
    balances: Template,
}

impl Template {
    fn new(method: &str, path: &str, host: &str, has_user: bool, body: &str) -> Template {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
        if has_user {
            text += &format!("X-User-ID: {}\r\n", field(USER, USER_WIDTH));
        }
        if method != "GET" {
            text += &format!("Content-Length: {}\r\n", body.len());
        }
        let bytes = format!("{text}\r\n{body}").into_bytes();
        let find = |mark| bytes.iter().position(|&byte| byte == mark);
        let (user, side, price, number) = (find(USER), find(SIDE), find(PRICE), find(NUMBER));
        Template { bytes, user, side, price, number }
    }

    /// Appends it; the rest is to be filled in at the returned place.
    fn begin(&self, out: &mut Vec<u8>) -> usize {
        let begin = out.len();
        out.extend_from_slice(&self.bytes);
        begin
    }

    fn fill_user(&self, request: &mut [u8], mut user: u64) {
        let Some(at) = self.user else { return };
        let field = &mut request[at..at + USER_WIDTH];
        field.fill(b' ');
        for digit in field.iter_mut().rev() {
            *digit = b'0' + (user % 10) as u8;
            user /= 10;
            if user == 0 {
                break;
            }
        }
    }

    fn fill_number(&self, request: &mut [u8], mut number: u64) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let Some(at) = self.number else { return };
        for digit in request[at..at + NUMBER_WIDTH].iter_mut().rev() {
            *digit = HEX[(number & 15) as usize];
            number >>= 4;
        }
    }

    fn fill(&self, request: &mut [u8], at: Option<usize>, value: &[u8]) {
        if let Some(at) = at {
            request[at..at + value.len()].copy_from_slice(value);
        }
    }
}

fn field(mark: u8, width: usize) -> String {
    char::from(mark).to_string().repeat(width)
}

impl MarketTemplates {
    fn new(market: &Market, host: &str, cid: &str) -> MarketTemplates {
        let quoted = |text: &String| format!("\"{text}\"");
        let width = market.prices.iter().map(|price| quoted(price).len()).max().unwrap_or(0);
        let prices = market.prices.iter();
        let body = format!(
            "{{\"symbol\":\"{}\",\"side\":{},\"type\":\"LIMIT\",\"price\":{},\"qty\":\"{}\",\"cid\":\"{cid}\"}}",
            market.symbol,
            field(SIDE, SIDE_WIDTH),
            field(PRICE, width),
            market.qty,
        );
        let place = |path| Template::new("POST", path, host, true, &body);
        let depth = format!("/api/v1/public/depth?symbol={}&limit=20", market.symbol);
        MarketTemplates {
            place: place("/api/v1/create_order"),
            place_wait: place("/api/v1/create_order?wait=true"),
            depth: Template::new("GET", &depth, host, false, ""),
            prices: prices.map(|price| format!("{:width$}", quoted(price)).into_bytes()).collect(),
        }
    }

    fn place(&self, place: &Place, out: &mut Vec<u8>) {
        let template = if place.wait { &self.place_wait } else { &self.place };
        let begin = template.begin(out);
        let request = &mut out[begin..];
        template.fill_user(request, place.order.user);
        let side: &[u8; SIDE_WIDTH] = if place.is_buy { b"\"BUY\" " } else { b"\"SELL\"" };
        template.fill(request, template.side, side);
        template.fill(request, template.price, &self.prices[place.price]);
        template.fill_number(request, place.order.number);
    }
}

impl Requests {
    /// Those to a server. `run_ms`, when the run began, makes its client order ids its own.
    pub fn new(host: &str, markets: &[Market], run_ms: u64) -> Requests {
        let cid = format!("{run_ms:0RUN_WIDTH$x}-{}", field(NUMBER, NUMBER_WIDTH));
        let cancel = format!("{{\"cid\":\"{cid}\"}}");
        Requests {
            markets: markets
                .iter()
                .map(|market| MarketTemplates::new(market, host, &cid))
                .collect(),
            cancel: Template::new("POST", "/api/v1/cancel_order", host, true, &cancel),
            balances: Template::new("GET", "/api/v1/balances", host, true, ""),
        }
    }

    /// Appends a request.
    pub fn render(&self, action: &Action, out: &mut Vec<u8>) {
        match *action {
            Action::Place(ref place) => self.markets[place.market].place(place, out),
            Action::Cancel(OrderName { user, number }) => {
                let begin = self.cancel.begin(out);
                self.cancel.fill_user(&mut out[begin..], user);
                self.cancel.fill_number(&mut out[begin..], number);
            }
            Action::Balances { user } => {
                let begin = self.balances.begin(out);
                self.balances.fill_user(&mut out[begin..], user);
            }
            Action::Depth { market } => {
                self.markets[market].depth.begin(out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const RUN_MS: u64 = 0x19a_bcde_f012;

    fn requests() -> Requests {
        let market = Market {
            symbol: "BTC_USDT".into(),
            assets: ["BTC".into(), "USDT".into()],
            prices: vec!["99.99".into(), "100.00".into()],
            qty: "0.1".into(),
        };
        Requests::new("localhost:1", &[market], RUN_MS)
    }

    fn place(user: u64, number: u64, is_buy: bool, price: usize, wait: bool) -> Action {
        let order = OrderName { user, number };
        Action::Place(Place { order, market: 0, is_buy, price, wait, is_passive: false })
    }

    /// Head and body of a request behind something else.
    fn render(action: Action) -> (String, String) {
        let mut out = b"before".to_vec();
        requests().render(&action, &mut out);
        let text = String::from_utf8(out).unwrap();
        let (head, body) = text["before".len()..].split_once("\r\n\r\n").unwrap();
        assert!(!text.replace("\r\n", "").contains(char::is_control), "a field is left: {text}");
        (head.to_owned(), body.to_owned())
    }

    fn user_of(head: &str) -> u64 {
        let line = head.lines().find_map(|line| line.strip_prefix("X-User-ID:")).unwrap();
        line.trim().parse().unwrap()
    }

    #[test]
    fn an_order_has_what_its_action_says() {
        for (user, side, price) in [(7, "BUY", "99.99"), (9_007_199_254_740_991, "SELL", "100.00")]
        {
            let (head, body) =
                render(place(user, 0xabc, side == "BUY", (side == "SELL").into(), false));
            assert!(
                head.starts_with("POST /api/v1/create_order HTTP/1.1\r\nHost: localhost:1\r\n")
            );
            assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}\n{body}");
            assert_eq!(user_of(&head), user);
            let body: Value = serde_json::from_str(&body).unwrap();
            assert_eq!((&body["side"], &body["price"]), (&side.into(), &price.into()));
            assert_eq!(body["cid"], "19abcdef012-00000000abc");
        }
    }

    #[test]
    fn a_cancel_names_the_order_as_it_was_placed() {
        let (_, placed) = render(place(7, 99, true, 0, true));
        let (head, canceled) = render(Action::Cancel(OrderName { user: 7, number: 99 }));
        let cid = |body: &str| serde_json::from_str::<Value>(body).unwrap()["cid"].clone();
        assert_eq!(cid(&placed), cid(&canceled));
        assert_eq!(user_of(&head), 7);
    }

    #[test]
    fn queries_have_neither_body_nor_a_user_too_many() {
        let (head, body) = render(Action::Depth { market: 0 });
        assert_eq!(
            head,
            "GET /api/v1/public/depth?symbol=BTC_USDT&limit=20 HTTP/1.1\r\nHost: localhost:1"
        );
        assert_eq!(body, "");
        assert_eq!(user_of(&render(Action::Balances { user: 12 }).0), 12);
        assert!(render(place(1, 1, true, 0, true)).0.contains("create_order?wait=true"));
    }
}
