//! Candles: trades make them, and they outlive the server.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::exchange::{Exchange, FIRST_USER, SYMBOL, limit, number, word};
use crate::support::http::Client;
use crate::support::websocket::Socket;
use crate::support::{LIMIT, wait_for};

const INTERVALS: [&str; 7] = ["1m", "5m", "15m", "30m", "1h", "4h", "1d"];

fn candles(client: &mut Client, interval: &str) -> Vec<Value> {
    let path = format!("/api/v1/public/klines?symbol={SYMBOL}&interval={interval}");
    client.get(&path).data().as_array().expect("candles").clone()
}

/// Without what depends on the moment.
fn sums(candles: &[Value]) -> (u64, Value, Value) {
    let count = candles.iter().map(|candle| number(&candle["trade_count"])).sum();
    let first = candles.first().map_or(json!(null), |candle| candle["open"].clone());
    let last = candles.last().map_or(json!(null), |candle| candle["close"].clone());
    (count, first, last)
}

#[test]
fn trades_make_candles_that_outlive_a_kill() {
    let mut exchange = Exchange::open(2, 2);
    let mut sockets: Vec<Socket> = (0..2)
        .map(|shard| {
            let mut socket = Socket::anonymous(exchange.server.shard_port(shard));
            let mut channels =
                INTERVALS.map(|interval| format!("kline_{interval}:{SYMBOL}")).to_vec();
            channels.push(format!("ticker:{SYMBOL}"));
            let answer = socket.ask(&json!({"type": "subscribe", "channels": channels, "id": 1}));
            assert_eq!(answer["type"], "subscribe.success");
            socket
        })
        .collect();
    let prices = ["100", "103", "97.5", "101.25"];
    for price in prices {
        exchange.user(FIRST_USER).trade(&limit("SELL", price, "0.5", ""));
        exchange.user(FIRST_USER + 1).trade(&limit("BUY", price, "0.5", ""));
    }
    let mut client = exchange.anonymous();
    for socket in &mut sockets {
        // The newest of each interval, until all of them show all trades. A minute may pass meanwhile.
        let mut newest: Vec<Vec<Value>> = vec![Vec::new(); INTERVALS.len()];
        let is_whole = |of: &Vec<Value>| sums(of) == (4, json!("100.00"), json!("101.25"));
        while !newest.iter().all(is_whole) {
            let message = socket.next_of("kline");
            assert_eq!(message["symbol"], SYMBOL);
            let at = INTERVALS.iter().position(|name| message["interval"] == *name);
            let of = &mut newest[at.expect("an interval")];
            of.retain(|candle| candle["open_time"] != message["open_time"]);
            of.push(message);
        }
        for (interval, told) in INTERVALS.iter().zip(&newest) {
            let shown = candles(&mut client, interval);
            let told: Vec<Value> = told
                .iter()
                .map(|candle| {
                    let mut fields = candle.as_object().expect("an object").clone();
                    let others = ["type", "symbol", "interval", "is_closed"];
                    fields.retain(|name, _| !others.contains(&name.as_str()));
                    Value::Object(fields)
                })
                .collect();
            // Behind it there may be one without trades already.
            assert!(shown.starts_with(&told), "{interval}: {shown:?} does not begin with {told:?}");
            assert_eq!(shown[0]["volume"].as_str().map(str::len), Some("2.00000000".len()));
        }
        let ticker = socket.next_that("about all trades", |message| {
            message["type"] == "ticker" && message["trade_count"] == 4
        });
        let word = |name: &str| word(&ticker[name]).to_owned();
        assert_eq!(
            ["open", "high", "low", "last"].map(word),
            ["100.00", "103.00", "97.50", "101.25"]
        );
        assert_eq!((word("volume"), word("quote_volume")), ("2.00000000".into(), "200.87".into()));
    }
    let with_trades = |client: &mut Client| -> Vec<Vec<Value>> {
        let traded = |candle: &Value| number(&candle["trade_count"]) > 0;
        let of = |interval: &&str| candles(client, interval).into_iter().filter(traded).collect();
        INTERVALS.iter().map(of).collect()
    };
    let before = with_trades(&mut client);
    for life in 0..2 {
        exchange.server.kill_and_restart();
        for shard in 0..2 {
            let mut client = Client::anonymous(exchange.server.shard_port(shard));
            assert_eq!(with_trades(&mut client), before, "after kill {life}, shard {shard}");
        }
    }
    // And they go on.
    let mut socket = Socket::anonymous(exchange.server.port);
    let channels = [format!("kline_1d:{SYMBOL}")];
    socket.ask(&json!({"type": "subscribe", "channels": channels, "id": 1}));
    exchange.user(FIRST_USER).trade(&limit("SELL", "90", "0.5", ""));
    exchange.user(FIRST_USER + 1).trade(&limit("BUY", "90", "0.5", ""));
    wait_for("the candle to go on", LIMIT, || {
        let candle = socket.next_within(Duration::from_secs(20));
        (candle["low"] == "90.00" && number(&candle["trade_count"]) == 5).then_some(())
    });
}
