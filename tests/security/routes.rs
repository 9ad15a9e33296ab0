//! The table of all routes as the outside is promised it: who is answered what.
//!
//! It is written out on purpose, and not derived from the server's own tables: a wrong row there is a
//! failing test here.

/// One route with a good request for it.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub method: &'static str,
    /// With what is filled in between braces, see [`super::matrix`].
    pub path: &'static str,
    pub body: &'static str,
    /// Who shows nothing.
    pub nobody: u16,
    /// Who shows something that is not good, or not any more.
    pub bad: u16,
    /// USER, MARKET_MAKER, SUPPORT, AUDITOR, ADMIN.
    pub roles: [u16; 5],
    /// What keys are answered where it is not what sessions are.
    pub keys: Option<u16>,
}

const fn row(
    method: &'static str,
    path: &'static str,
    body: &'static str,
    [nobody, bad]: [u16; 2],
    roles: [u16; 5],
) -> Row {
    Row { method, path, body, nobody, bad, roles, keys: None }
}

const LIMIT_ORDER: &str =
    r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"1"}"#;
const DESK_ORDER: &str = r#"{"side":"BUY","symbol":"BTCUSDT","qty":1,"price":1}"#;
const PAYMENT: &str = r#"{"user_id":1002,"asset":"USDT","amount":"1","ref":"p{n}"}"#;
const END: &str = r#"{"user_id":1002,"ref":"{withdrawal}"}"#;
const LOGIN: &str = r#"{"user_id":1001,"password":"correct horse"}"#;
const CHANGE: &str = r#"{"old_password":"correct horse","new_password":"correct horse"}"#;

#[rustfmt::skip]
pub const ROUTES: &[Row] = &[
    //                                                              nobody, bad      USER MAKER SUPP AUDIT ADMIN
    row("GET", "/healthz", "",                                      [200, 200], [200, 200, 200, 200, 200]),
    row("GET", "/readyz", "",                                       [200, 200], [200, 200, 200, 200, 200]),
    row("GET", "/metrics", "",                                      [401, 401], [403, 403, 200, 200, 200]),
    row("GET", "/docs/openapi.yaml", "",                            [200, 200], [200, 200, 200, 200, 200]),
    row("GET", "/ws", "",                                           [101, 401], [101, 101, 101, 101, 101]),
    row("GET", "/orders", "",                                       [101, 401], [101, 101, 101, 101, 101]),
    row("GET", "/market-data", "",                                  [101, 401], [101, 101, 101, 101, 101]),
    row("GET", "/user-data", "",                                    [101, 401], [101, 101, 101, 101, 101]),

    row("GET", "/api/v1/public/exchange_info", "",                  [200, 200], [200, 200, 200, 200, 200]),
    row("GET", "/api/v1/public/assets", "",                         [200, 200], [200, 200, 200, 200, 200]),
    row("GET", "/api/v1/public/symbols", "",                        [200, 200], [200, 200, 200, 200, 200]),
    row("GET", "/api/v1/public/depth?symbol=BTC_USDT", "",          [200, 200], [200, 200, 200, 200, 200]),
    row("GET", "/api/v1/public/trades?symbol=BTC_USDT", "",         [200, 200], [200, 200, 200, 200, 200]),
    row("GET", "/api/v1/public/klines?symbol=BTC_USDT&interval=1m", "", [200, 200], [200, 200, 200, 200, 200]),
    row("GET", "/api/v1/public/ticker?symbol=BTC_USDT", "",         [200, 200], [200, 200, 200, 200, 200]),
    row("GET", "/api/v1/shards", "",                                [200, 401], [200, 200, 200, 200, 200]),

    row("POST", "/api/v1/create_order", LIMIT_ORDER,                [401, 401], [202, 202, 403, 403, 202]),
    row("POST", "/api/v1/order", LIMIT_ORDER,                       [401, 401], [202, 202, 403, 403, 202]),
    row("GET", "/api/v1/order?order_id={order}", "",                [401, 401], [200, 200, 200, 200, 200]),
    row("GET", "/api/v1/order/{order}", "",                         [401, 401], [200, 200, 200, 200, 200]),
    row("POST", "/api/v1/cancel_order", r#"{"order_id":{order}}"#,  [401, 401], [200, 200, 403, 403, 200]),
    row("POST", "/api/v1/order/reduce", r#"{"order_id":{order},"reduce_qty":"0.5"}"#, [401, 401], [200, 200, 403, 403, 200]),
    row("POST", "/api/v1/order/move", r#"{"order_id":{order},"new_price":"2"}"#, [401, 401], [200, 200, 403, 403, 200]),
    row("GET", "/api/v1/orders", "",                                [401, 401], [200, 200, 200, 200, 200]),
    row("DELETE", "/api/v1/orders?symbol=BTC_USDT", "",             [401, 401], [200, 200, 403, 403, 200]),
    row("GET", "/api/v1/trades", "",                                [401, 401], [200, 200, 200, 200, 200]),
    row("GET", "/api/v1/balances", "",                              [401, 401], [200, 200, 200, 200, 200]),
    row("GET", "/api/v1/me", "",                                    [401, 401], [200, 200, 200, 200, 200]),
    row("POST", "/api/v1/withdrawals", r#"{"asset":"USDT","amount":"1","ref":"w{n}"}"#, [401, 401], [202, 202, 403, 403, 202]),
    row("GET", "/api/v1/withdrawals", "",                           [401, 401], [200, 200, 200, 200, 200]),

    row("POST", "/api/v1/admin/assets", r#"{"asset":"N{n}","decimals":2}"#, [401, 401], [403, 403, 403, 403, 200]),
    row("POST", "/api/v1/admin/symbols", r#"{"symbol":"{asset}_USDT","base":"{asset}","quote":"USDT","tick":"1","lot":"1"}"#, [401, 401], [403, 403, 403, 403, 200]),
    row("PATCH", "/api/v1/admin/symbols/BTC_USDT", r#"{"maker_fee_ppm":{n}}"#, [401, 401], [403, 403, 403, 403, 200]),
    row("GET", "/api/v1/admin/users", "",                           [401, 401], [403, 403, 200, 200, 200]),
    row("POST", "/api/v1/admin/users", "{}",                        [401, 401], [403, 403, 403, 403, 200]),
    row("GET", "/api/v1/admin/users/1002", "",                      [401, 401], [403, 403, 200, 200, 200]),
    row("PATCH", "/api/v1/admin/users/1002", r#"{"frozen":false}"#, [401, 401], [403, 403, 200, 403, 200]),
    row("PATCH", "/api/v1/admin/users/1002", r#"{"role":"USER"}"#,  [401, 401], [403, 403, 403, 403, 200]),
    row("PATCH", "/api/v1/admin/users/1002", r#"{"password":"correct horse"}"#, [401, 401], [403, 403, 403, 403, 200]),
    row("PATCH", "/api/v1/admin/users/1002", r#"{"orders_per_second":0}"#, [401, 401], [403, 403, 403, 403, 200]),
    row("POST", "/api/v1/admin/deposits", PAYMENT,                  [401, 401], [403, 403, 403, 403, 200]),
    row("GET", "/api/v1/admin/withdrawals", "",                     [401, 401], [403, 403, 200, 200, 200]),
    row("POST", "/api/v1/admin/withdrawals", PAYMENT,               [401, 401], [403, 403, 403, 403, 200]),
    row("POST", "/api/v1/admin/withdrawals/confirm", END,           [401, 401], [403, 403, 403, 403, 200]),
    row("POST", "/api/v1/admin/withdrawals/reject", END,            [401, 401], [403, 403, 403, 403, 200]),
    row("DELETE", "/api/v1/admin/orders?user_id=1002", "",          [401, 401], [403, 403, 200, 403, 200]),
    row("GET", "/api/v1/admin/proof", "",                           [401, 401], [403, 403, 403, 200, 200]),
    row("GET", "/api/v1/admin/shards", "",                          [401, 401], [403, 403, 200, 200, 200]),
    row("GET", "/api/v1/admin/snapshots", "",                       [401, 401], [403, 403, 200, 200, 200]),
    row("POST", "/api/v1/admin/snapshots", "",                      [401, 401], [403, 403, 403, 403, 202]),
    row("GET", "/api/v1/admin/book?symbol=BTC_USDT&side=BUY", "",   [401, 401], [403, 403, 200, 200, 200]),
    row("GET", "/api/v1/admin/tape?symbol=BTC_USDT", "",            [401, 401], [403, 403, 200, 200, 200]),
    row("GET", "/api/v1/admin/balances?user_id=1002", "",           [401, 401], [403, 403, 200, 200, 200]),
    row("GET", "/api/v1/admin/sessions", "",                        [401, 401], [403, 403, 200, 200, 200]),
    row("GET", "/api/v1/admin/sessions/{session}", "",              [401, 401], [403, 403, 200, 200, 200]),
    row("DELETE", "/api/v1/admin/sessions/{session}", "",           [401, 401], [403, 403, 200, 403, 200]),

    row("GET", "/health", "",                                       [200, 200], [200, 200, 200, 200, 200]),
    row("GET", "/api/health", "",                                   [200, 200], [200, 200, 200, 200, 200]),
    row("GET", "/api/config", "",                                   [200, 200], [200, 200, 200, 200, 200]),
    row("GET", "/api/market?symbol=BTCUSDT", "",                    [200, 200], [200, 200, 200, 200, 200]),
    row("GET", "/api/stream", "",                                   [200, 401], [200, 200, 200, 200, 200]),
    row("POST", "/api/order", DESK_ORDER,                           [401, 401], [200, 200, 403, 403, 200]),
    row("POST", "/api/cancel", r#"{"venue_order_id":{order}}"#,     [401, 401], [200, 200, 403, 403, 200]),
    row("GET", "/api/orders", "",                                   [401, 401], [200, 200, 200, 200, 200]),
    row("GET", "/api/orders_state", "",                             [401, 401], [200, 200, 200, 200, 200]),
    row("GET", "/api/order_state?venue_order_id={order}", "",       [401, 401], [200, 200, 200, 200, 200]),
    row("GET", "/api/account", "",                                  [401, 401], [200, 200, 200, 200, 200]),

    row("POST", "/api/auth/login", LOGIN,                           [200, 200], [200, 200, 200, 200, 200]),
    row("POST", "/api/auth/refresh", r#"{"refresh_token":"{refresh}"}"#, [200, 200], [200, 200, 200, 200, 200]),
    row("GET", "/api/auth/keys", "",                                [401, 401], [200, 200, 200, 200, 200]),
    row("GET", "/api/auth/keys?user_id=1002", "",                   [401, 401], [403, 403, 403, 403, 200]),
    row("POST", "/api/auth/keys", r#"{"name":"{n}","permissions":["read"]}"#, [401, 401], [200, 200, 200, 200, 200]),
    row("POST", "/api/auth/keys", r#"{"name":"{n}","permissions":["read"],"user_id":1002}"#, [401, 401], [403, 403, 403, 403, 200]),
    row("DELETE", "/api/auth/keys?api_key={key}", "",               [401, 401], [200, 200, 200, 200, 200]),
    row("GET", "/api/auth/roles", "",                               [401, 401], [403, 403, 200, 200, 200]),
    row("POST", "/api/auth/roles", r#"{"user_id":1002,"role":"USER"}"#, [401, 401], [403, 403, 403, 403, 200]),
    row("GET", "/api/audit/logs", "",                               [401, 401], [403, 403, 403, 200, 200]),
    row("GET", "/api/audit/stats", "",                              [401, 401], [403, 403, 403, 200, 200]),
    row("POST", "/api/audit/archive", "",                           [401, 401], [403, 403, 403, 403, 200]),
    // Keys have no session to end: 400. These two end the session that they are asked by, so they come last.
    Row { keys: Some(400), ..row("POST", "/api/auth/logout", "",    [401, 401], [200, 200, 200, 200, 200]) },
    row("POST", "/api/auth/password", CHANGE,                       [401, 401], [200, 200, 200, 200, 200]),
];

impl Row {
    /// The path without its query, what is filled in replaced by a star.
    pub fn pattern(&self) -> String {
        pattern_of(self.path.split('?').next().unwrap_or_default())
    }
}

/// Segments that stand for anything, or for one example of it, as stars.
pub fn pattern_of(path: &str) -> String {
    let is_example =
        |segment: &str| segment.starts_with('{') || segment == "1002" || segment == "BTC_USDT";
    let segments = path.split('/').map(|segment| if is_example(segment) { "*" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}
