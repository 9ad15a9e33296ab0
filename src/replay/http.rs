//! A set replayed over HTTP against a running server, through the native dialect.
//!
//! One connection carries everything, so commands reach their shards in the order in which they were
//! sent.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use money::{Cid, Decimal, Lots, OrderId, OrderStatus, Side, TradeId, Units, UserId, write_units};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::set::{Action, Leg, Market};
use super::venue::{Answer, Balance, Balances, Resting, Sent, Standing, Trade, Venue, VenueError};
use crate::connection::{Connection, Endpoint, Response, is_loss, open_patiently, push_encoded};

/// Commands under way at once, half of what a server accepts on one connection.
const WINDOW: usize = 64;
/// Rows of a page.
const PAGE_ROWS: usize = 1_000;
/// How long a busy server is asked again.
const BUSY_LIMIT: Duration = Duration::from_secs(60);
/// How long to wait for a busy server that does not say.
const BUSY_PAUSE_S: u64 = 1;

// Codes of the native dialect.
const INSUFFICIENT_BALANCE: u32 = 1002;
const ALREADY_EXISTS: u32 = 1008;
const ORDER_NOT_FOUND: u32 = 4001;
const ORDER_NOT_OPEN: u32 = 4002;

/// A server.
pub struct Http {
    endpoint: Endpoint,
    admin_token: String,
    reconnect: Duration,
    connection: Connection,
    shards: u16,
    market: Option<Market>,
    under_way: VecDeque<Sent>,
}

#[derive(Deserialize)]
struct Envelope<T> {
    code: u32,
    msg: String,
    data: Option<T>,
}

#[derive(Deserialize)]
struct ShardsData {
    shards: u16,
}

#[derive(Deserialize)]
struct AssetData {
    asset: String,
    decimals: u8,
}

#[derive(Deserialize)]
struct SymbolData {
    symbol: String,
    base: String,
    quote: String,
    tick: String,
    lot: String,
}

#[derive(Deserialize)]
struct PlacedData {
    order_id: u64,
}

#[derive(Deserialize)]
struct OrderData {
    order_id: u64,
    status: String,
    qty: String,
}

#[derive(Deserialize)]
struct TradeData {
    id: u64,
    taker_order_id: u64,
    maker_order_id: u64,
    price: String,
    qty: String,
}

#[derive(Deserialize)]
struct RestingData {
    order_id: u64,
    price: String,
    remaining: String,
}

#[derive(Deserialize)]
struct BalanceData {
    #[serde(default)]
    asset: String,
    avail: String,
    frozen: String,
}

/// Nothing of the data is of interest.
#[derive(Deserialize)]
struct AnyData {}

impl Http {
    /// Connects and asks how many shards there are.
    pub fn connect(url: &str, admin_token: &str, reconnect: Duration) -> Result<Http> {
        let endpoint = Endpoint::parse(url)?;
        let connection = open_patiently(&endpoint, reconnect)?;
        let mut http = Http {
            endpoint,
            admin_token: admin_token.to_owned(),
            reconnect,
            connection,
            shards: 0,
            market: None,
            under_way: VecDeque::with_capacity(WINDOW),
        };
        http.count_shards()?;
        Ok(http)
    }

    /// Asks how many shards there are now; a connection that is lost again is found out by the next
    /// request.
    fn look_at_shards(&mut self) {
        self.push_request("GET", "/api/v1/shards", Caller::Nobody, "", "");
        let Ok(response) = self.connection.receive() else { return };
        let envelope: Result<Envelope<ShardsData>> = parse(&response);
        if let Ok(Envelope { data: Some(ShardsData { shards }), .. }) = envelope {
            self.shards = shards;
        }
    }

    fn count_shards(&mut self) -> Result<()> {
        let data: ShardsData = self.get("/api/v1/shards", Caller::Nobody)?;
        ensure!(data.shards > 0, "the server says that it has no shards");
        self.shards = data.shards;
        Ok(())
    }

    fn market(&self) -> Result<&Market> {
        self.market.as_ref().context("the symbol is not defined yet")
    }

    fn push_request(&mut self, method: &str, path: &str, caller: Caller, extra: &str, body: &str) {
        let (endpoint, token) = (&self.endpoint.authority, &self.admin_token);
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {endpoint}\r\n{extra}");
        let _ = match caller {
            Caller::Nobody => Ok(()),
            Caller::Admin => write!(head, "X-Admin-Token: {token}\r\n"),
            Caller::User(user) => write!(head, "X-User-ID: {user}\r\n"),
        };
        if method != "GET" {
            let _ = write!(
                head,
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                body.len()
            );
        }
        let output = self.connection.output();
        output.extend_from_slice(head.as_bytes());
        output.extend_from_slice(b"\r\n");
        output.extend_from_slice(body.as_bytes());
    }

    /// Asks what may be asked twice, again and again while the server is away or busy.
    fn call(&mut self, method: &str, path: &str, caller: Caller, body: &str) -> Result<Response> {
        let begin = Instant::now();
        loop {
            self.push_request(method, path, caller, "", body);
            match self.connection.receive() {
                Ok(response) if is_busy(&response) && begin.elapsed() < BUSY_LIMIT => {
                    std::thread::sleep(pause_of(&response));
                }
                Ok(response) => return Ok(response),
                Err(error) if is_loss(&error) && begin.elapsed() < self.reconnect => {
                    self.connection = open_patiently(&self.endpoint, self.reconnect)?;
                    self.look_at_shards();
                }
                Err(error) => return Err(error).with_context(|| format!("{method} {path}")),
            }
        }
    }

    fn get<T: DeserializeOwned>(&mut self, path: &str, caller: Caller) -> Result<T> {
        let response = self.call("GET", path, caller, "")?;
        let envelope: Envelope<T> = parse(&response).with_context(|| format!("GET {path}"))?;
        ensure!(envelope.code == 0, "GET {path}: {}", envelope.msg);
        envelope.data.with_context(|| format!("GET {path}: no data"))
    }

    fn administer<T: DeserializeOwned>(
        &mut self,
        method: &str,
        path: &str,
        body: &str,
    ) -> Result<Envelope<T>> {
        let response = self.call(method, path, Caller::Admin, body)?;
        let envelope = parse(&response).with_context(|| format!("{method} {path}"))?;
        let Envelope { code, ref msg, .. } = envelope;
        ensure!(code == 0 || code == ALREADY_EXISTS, "{method} {path}: {msg} (sent {body})");
        Ok(envelope)
    }

    fn push_command(&mut self, sent: &Sent) -> Result<()> {
        let (cid, market) = (sent.cid, self.market()?);
        let (path, body) = match sent.action {
            Action::Place { side, time_in_force, price, qty } => {
                let symbol = &market.spec.name;
                let price = text(|out| market.write_price(out, price));
                let qty = text(|out| market.write_qty(out, qty));
                let body = format!(
                    "{{\"symbol\":\"{symbol}\",\"side\":\"{side}\",\"type\":\"LIMIT\",\
                     \"time_in_force\":\"{time_in_force}\",\"price\":\"{price}\",\
                     \"qty\":\"{qty}\",\"cid\":\"{cid}\"}}"
                );
                ("/api/v1/create_order", body)
            }
            Action::Cancel => ("/api/v1/cancel_order", format!("{{\"cid\":\"{cid}\"}}")),
            Action::Reduce { by } => {
                let by = text(|out| market.write_qty(out, by));
                let body = format!("{{\"cid\":\"{cid}\",\"reduce_qty\":\"{by}\"}}");
                ("/api/v1/order/reduce", body)
            }
        };
        let is_place = matches!(sent.action, Action::Place { .. });
        let extra = if is_place && sent.wait { "Prefer: wait\r\n" } else { "" };
        self.push_request("POST", path, Caller::User(sent.user), extra, &body);
        Ok(())
    }

    fn receive(&mut self) -> Result<Response, VenueError> {
        self.connection.receive().map_err(|error| {
            let is_loss = is_loss(&error);
            let error = anyhow::Error::from(error);
            if is_loss { VenueError::Lost(error) } else { VenueError::Fatal(error) }
        })
    }

    fn understand(&self, sent: &Sent, response: &Response) -> Result<Answer> {
        if is_busy(response) {
            return Ok(Answer::Busy(pause_of(response)));
        }
        let is_place = matches!(sent.action, Action::Place { .. });
        let failure = |code, msg: &str| match code {
            INSUFFICIENT_BALANCE => Ok(Answer::NoFunds),
            ORDER_NOT_FOUND | ORDER_NOT_OPEN => Ok(Answer::Nothing),
            _ => Err(anyhow!("{msg}")),
        };
        if is_place {
            let envelope: Envelope<PlacedData> = parse(response)?;
            return match (envelope.code, envelope.data) {
                (0, Some(data)) => Ok(Answer::Placed(OrderId(data.order_id))),
                (0, None) => bail!("no data"),
                (code, _) => failure(code, &envelope.msg),
            };
        }
        let envelope: Envelope<OrderData> = parse(response)?;
        match (envelope.code, envelope.data) {
            (0, Some(data)) => Ok(Answer::Changed(self.standing(&data)?)),
            (0, None) => bail!("no data"),
            (code, _) => failure(code, &envelope.msg),
        }
    }

    fn standing(&self, data: &OrderData) -> Result<Standing> {
        let status = OrderStatus::parse(&data.status);
        Ok(Standing {
            order: OrderId(data.order_id),
            status: status.with_context(|| format!("status: {:?}", data.status))?,
            qty: self.market()?.qty(&data.qty)?,
        })
    }

    fn balance(&self, leg: Leg, data: &BalanceData) -> Result<Balance> {
        let decimals = self.market()?.decimals(leg);
        let units = |text: &str| -> Result<Units> { Ok(Decimal::parse(text)?.to_units(decimals)?) };
        Ok(Balance { avail: units(&data.avail)?, frozen: units(&data.frozen)? })
    }
}

#[derive(Clone, Copy)]
enum Caller {
    Nobody,
    Admin,
    User(UserId),
}

fn parse<T: DeserializeOwned>(response: &Response) -> Result<Envelope<T>> {
    serde_json::from_slice(&response.body).with_context(|| {
        let body = String::from_utf8_lossy(&response.body);
        format!("an answer with status {} that is not understood: {body}", response.status)
    })
}

fn is_busy(response: &Response) -> bool {
    matches!(response.status, 429 | 503)
}

fn pause_of(response: &Response) -> Duration {
    Duration::from_secs(response.retry_after_s.unwrap_or(BUSY_PAUSE_S))
}

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn same_number(left: &str, right: &str) -> bool {
    matches!((Decimal::parse(left), Decimal::parse(right)), (Ok(left), Ok(right)) if left == right)
}

impl Venue for Http {
    fn shards(&self) -> u16 {
        self.shards
    }

    fn window(&self) -> usize {
        WINDOW
    }

    /// The server asks for a reduced order's symbol first, and meanwhile a command behind it may
    /// overtake.
    fn pipelines(&self, action: Action) -> bool {
        !matches!(action, Action::Reduce { .. })
    }

    async fn define_asset(&mut self, name: &str, decimals: u8) -> Result<()> {
        let body = format!("{{\"asset\":\"{name}\",\"decimals\":{decimals}}}");
        let made: Envelope<AnyData> = self.administer("POST", "/api/v1/admin/assets", &body)?;
        if made.code == ALREADY_EXISTS {
            let known: Vec<AssetData> = self.get("/api/v1/public/assets", Caller::Nobody)?;
            let known = known.iter().find(|known| known.asset == name).context("no such asset")?;
            ensure!(
                known.decimals == decimals,
                "asset {name}: has {} decimals there, {decimals} in the set",
                known.decimals
            );
        }
        Ok(())
    }

    async fn define_symbol(&mut self, market: &Market) -> Result<()> {
        let (name, base, quote) = (&market.spec.name, &market.base, &market.quote);
        let tick = text(|out| market.write_price(out, money::Price(1)));
        let lot = text(|out| market.write_qty(out, Lots(1)));
        let fees = format!(
            "\"maker_fee_ppm\":{},\"taker_fee_ppm\":{}",
            market.spec.rules.maker_fee_ppm, market.spec.rules.taker_fee_ppm
        );
        self.market = Some(market.clone());
        let body = format!(
            "{{\"symbol\":\"{name}\",\"base\":\"{base}\",\"quote\":\"{quote}\",\
             \"tick\":\"{tick}\",\"lot\":\"{lot}\",{fees}}}"
        );
        let made: Envelope<AnyData> = self.administer("POST", "/api/v1/admin/symbols", &body)?;
        if made.code != ALREADY_EXISTS {
            return Ok(());
        }
        let known: Vec<SymbolData> = self.get("/api/v1/public/symbols", Caller::Nobody)?;
        let known = known.iter().find(|known| known.symbol == *name).context("no such symbol")?;
        ensure!(
            (&known.base, &known.quote) == (base, quote)
                && same_number(&known.tick, &tick)
                && same_number(&known.lot, &lot),
            "symbol {name}: has tick {} and lot {} there, {tick} and {lot} in the set",
            known.tick,
            known.lot
        );
        let path = format!("/api/v1/admin/symbols/{name}");
        let _: Envelope<AnyData> = self.administer("PATCH", &path, &format!("{{{fees}}}"))?;
        Ok(())
    }

    async fn define_user(&mut self, user: UserId) -> Result<()> {
        let body = format!("{{\"user_id\":{user}}}");
        let _: Envelope<AnyData> = self.administer("POST", "/api/v1/admin/users", &body)?;
        Ok(())
    }

    async fn deposit(
        &mut self,
        user: UserId,
        leg: Leg,
        amount: Units,
        reference: &str,
    ) -> Result<Balance> {
        let market = self.market()?;
        let (asset, decimals) = (market.asset(leg), market.decimals(leg));
        let amount = text(|out| write_units(out, amount, decimals));
        let body = format!(
            "{{\"user_id\":{user},\"asset\":\"{asset}\",\"amount\":\"{amount}\",\
             \"ref\":\"{reference}\"}}"
        );
        let paid: Envelope<BalanceData> =
            self.administer("POST", "/api/v1/admin/deposits", &body)?;
        self.balance(leg, &paid.data.context("a deposit without data")?)
    }

    async fn send(&mut self, sent: &Sent) -> Result<(), VenueError> {
        self.push_command(sent)?;
        self.under_way.push_back(*sent);
        Ok(())
    }

    async fn answer(&mut self) -> Result<(usize, Answer), VenueError> {
        let response = self.receive()?;
        let sent = self.under_way.pop_front().context("an answer to no question")?;
        let answer = self.understand(&sent, &response).with_context(|| {
            format!("command {} of the flow, {:?} of {}", sent.number, sent.action, sent.cid)
        })?;
        Ok((sent.number, answer))
    }

    async fn pause(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    async fn reconnect(&mut self) -> Result<()> {
        self.under_way.clear();
        self.connection = open_patiently(&self.endpoint, self.reconnect)?;
        self.count_shards()?;
        // A proof's markers run behind everything on the way between two shards: after the first one
        // the symbol's shard has seen it, after the second one the homes have what came of it.
        for _ in 0..2 {
            let _: Vec<AnyData> = self.get("/api/v1/admin/proof", Caller::Admin)?;
        }
        Ok(())
    }

    async fn find(&mut self, user: UserId, cid: Cid) -> Result<Option<Standing>> {
        let mut path = b"/api/v1/order?cid=".to_vec();
        push_encoded(&mut path, cid.as_str());
        let path = String::from_utf8_lossy(&path).into_owned();
        let response = self.call("GET", &path, Caller::User(user), "")?;
        let envelope: Envelope<OrderData> = parse(&response)?;
        match (envelope.code, envelope.data) {
            (0, Some(data)) => Ok(Some(self.standing(&data)?)),
            (ORDER_NOT_FOUND, _) => Ok(None),
            _ => bail!("GET {path}: {}", envelope.msg),
        }
    }

    async fn tape(&mut self, after: TradeId) -> Result<Vec<Trade>> {
        let symbol = &self.market()?.spec.name;
        let path = format!("/api/v1/admin/tape?symbol={symbol}&after={after}&limit={PAGE_ROWS}");
        let rows: Vec<TradeData> = self.get(&path, Caller::Admin)?;
        let market = self.market()?;
        let trades = rows.iter().map(|row| {
            Ok(Trade {
                id: TradeId(row.id),
                taker: OrderId(row.taker_order_id),
                maker: OrderId(row.maker_order_id),
                price: market.price(&row.price)?,
                qty: market.qty(&row.qty)?,
            })
        });
        trades.collect()
    }

    async fn book(&mut self, side: Side, after: Option<OrderId>) -> Result<Vec<Resting>> {
        let symbol = &self.market()?.spec.name;
        let after = after.map_or(String::new(), |order| format!("&after={order}"));
        let path =
            format!("/api/v1/admin/book?symbol={symbol}&side={side}&limit={PAGE_ROWS}{after}");
        let rows: Vec<RestingData> = self.get(&path, Caller::Admin)?;
        let market = self.market()?;
        let orders = rows.iter().map(|row| {
            Ok(Resting {
                order: OrderId(row.order_id),
                price: market.price(&row.price)?,
                remaining: market.qty(&row.remaining)?,
            })
        });
        orders.collect()
    }

    async fn balances(&mut self, user: UserId) -> Result<Balances> {
        let path = format!("/api/v1/admin/balances?user_id={user}");
        let rows: Vec<BalanceData> = self.get(&path, Caller::Admin)?;
        let mut balances = Balances::default();
        for row in &rows {
            let market = self.market()?;
            if row.asset == market.base {
                balances.base = self.balance(Leg::Base, row)?;
            } else if row.asset == market.quote {
                balances.quote = self.balance(Leg::Quote, row)?;
            }
        }
        Ok(balances)
    }
}
