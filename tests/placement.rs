//! Symbols that were placed by hand are where they were asked to be: told by the API, shown by each
//! shard's own counters, kept through a kill, snapshots and changes of the shard count.

mod support;

use serde_json::{Value, json};

use support::exchange::{Exchange, FIRST_USER, number, proof_of};
use support::http::Client;
use support::server::{self, Options, Server};
use support::websocket::Socket;
use support::{LIMIT, wait_for};

/// Of every user in every test.
const FUNDS: &str = "1000000";

fn symbol(number: u16) -> String {
    format!("S{number}_USDT")
}

/// The body that defines a symbol.
fn definition(number: u16, shard: Value) -> String {
    let (name, base) = (symbol(number), format!("S{number}"));
    json!({"symbol": name, "base": base, "quote": "USDT", "tick": "0.01", "lot": "1", "shard": shard})
        .to_string()
}

fn order(number: u16, side: &str) -> String {
    json!({"symbol": symbol(number), "side": side, "type": "LIMIT", "price": "100", "qty": "1"})
        .to_string()
}

/// Users and assets, and for each place a symbol that was asked to be there.
fn exchange(shards: u16, users: u64, places: &[u16]) -> Exchange {
    let exchange = Exchange { server: Server::empty(shards) };
    let mut admin = exchange.admin();
    let mut post = |route: &str, body: &str| {
        admin.post(&format!("/api/v1/admin/{route}"), body).data();
    };
    post("assets", r#"{"asset":"USDT","decimals":2}"#);
    for number in 0..places.len() {
        post("assets", &json!({"asset": format!("S{number}"), "decimals": 0}).to_string());
    }
    for user in FIRST_USER..FIRST_USER + users {
        post("users", &json!({"user_id": user}).to_string());
        exchange.deposit(user, "USDT", FUNDS, "u");
        (0..places.len()).for_each(|number| {
            exchange.deposit(user, &format!("S{number}"), FUNDS, &format!("s{number}"));
        });
    }
    for (number, shard) in places.iter().enumerate() {
        let made = exchange
            .admin()
            .post("/api/v1/admin/symbols", &definition(number as u16, json!(shard)))
            .data();
        assert_eq!(made["shard"], json!(shard), "{made}");
    }
    exchange
}

/// A number of each shard at `/metrics`.
fn by_shard(server: &Server, name: &str) -> Vec<u64> {
    let text = Client::anonymous(server.port).get("/metrics").text().to_owned();
    let of = |shard: u16| {
        let begin = format!("{name}{{shard=\"{shard}\"}} ");
        let found = text.lines().find_map(|line| line.strip_prefix(&begin));
        found.unwrap_or_else(|| panic!("{begin} in {text}")).parse().expect("a number")
    };
    (0..server.shards()).map(of).collect()
}

/// Where the API says that the symbols are, asked at every shard.
fn told(server: &Server, symbols: usize) -> Vec<u64> {
    let mut places = Vec::new();
    for shard in 0..server.shards() {
        let mut client = Client::anonymous(server.shard_port(shard));
        let listed = client.get("/api/v1/public/symbols").data();
        let shards = client.get("/api/v1/shards").data()["symbols"].clone();
        let of = |rows: &Value| -> Vec<(String, u64)> {
            let rows = rows.as_array().expect("symbols").iter();
            rows.map(|row| (row["symbol"].to_string(), number(&row["shard"]))).collect()
        };
        assert_eq!(of(&listed), of(&shards));
        let found: Vec<u64> = of(&shards).into_iter().map(|row| row.1).collect();
        assert!(places.is_empty() || places == found, "two shards differ: {places:?} {found:?}");
        places = found;
    }
    assert_eq!(places.len(), symbols);
    places
}

/// Every user sells to the next one, so often in each symbol as its number and one more says, each
/// through another shard's port.
fn trade_round(exchange: &Exchange, users: u64, symbols: usize) {
    let shards = u64::from(exchange.server.shards());
    for number in 0..symbols as u16 {
        for round in 0..=u64::from(number) {
            for index in 0..users {
                let shard = ((index + round) % shards) as u16;
                let place = |user: u64, side: &str| {
                    let mut client = exchange.user_at(shard, FIRST_USER + user % users);
                    client.trade(&order(number, side))
                };
                assert_eq!(place(index, "SELL")["status"], "NEW");
                assert_eq!(place(index + 1, "BUY")["status"], "FILLED");
            }
        }
    }
}

#[test]
fn a_placed_symbol_trades_on_its_shard() {
    for shards in [2, 4] {
        // Not as their numbers would have it; the last shard has two.
        let places: Vec<u16> = (0..shards).rev().chain([shards - 1]).collect();
        let users = u64::from(shards);
        let exchange = exchange(shards, users, &places);
        let server = &exchange.server;
        let wanted: Vec<u64> = places.iter().copied().map(u64::from).collect();
        assert_eq!(told(server, places.len()), wanted);
        let follow = |shard: u16, symbol: &str| {
            let mut socket = Socket::anonymous(server.shard_port(shard));
            let channels = json!([format!("trades:{symbol}")]);
            let subscribe = json!({"type": "subscribe", "channels": channels, "id": 1});
            assert_eq!(socket.ask(&subscribe)["type"], "subscribe.success");
            socket
        };
        let mut followers: Vec<(u16, Socket)> = (0..shards)
            .flat_map(|shard| (0..places.len() as u16).map(move |number| (shard, number)))
            .map(|(shard, number)| (number, follow(shard, &symbol(number))))
            .collect();

        trade_round(&exchange, users, places.len());
        let mut books = vec![0; usize::from(shards)];
        let (mut trades, mut crossing) = (books.clone(), books.clone());
        for (number, &place) in places.iter().enumerate() {
            let rounds = number as u64 + 1;
            books[usize::from(place)] += 1;
            trades[usize::from(place)] += users * rounds;
            for user in FIRST_USER..FIRST_USER + users {
                let home = user % u64::from(shards);
                crossing[home as usize] += if home == u64::from(place) { 0 } else { 2 * rounds };
            }
        }
        assert_eq!(by_shard(server, "ringbook_symbols"), books);
        assert_eq!(by_shard(server, "ringbook_trades_total"), trades);
        assert_eq!(by_shard(server, "ringbook_orders_cross_shard_total"), crossing);
        for (of, follower) in &mut followers {
            for wanted in 1..=users * u64::from(*of + 1) {
                let trade = follower.next_of("public.trade");
                let told = (trade["symbol"].as_str(), number(&trade["id"]));
                assert_eq!(told, (Some(symbol(*of).as_str()), wanted));
            }
        }
        // What is asked of a book is asked where it is, whoever is asked.
        for (number, _) in places.iter().enumerate() {
            let query = format!("/api/v1/public/trades?symbol={}", symbol(number as u16));
            for shard in 0..shards {
                let rows = Client::anonymous(server.shard_port(shard)).get(&query).data();
                let count = rows.as_array().expect("trades").len() as u64;
                assert_eq!(count, users * (number as u64 + 1), "{query} at shard {shard}");
            }
        }
        proof_of(&mut exchange.admin());
    }
}

#[test]
fn a_shard_that_is_not_there_is_refused_with_its_range() {
    let exchange = exchange(2, 1, &[1]);
    let mut admin = exchange.admin();
    admin.post("/api/v1/admin/assets", r#"{"asset":"S1","decimals":0}"#).data();
    for shard in [json!(2), json!(65_536), json!(-1), json!(1.5), json!("one"), json!(true)] {
        let refused = admin.post("/api/v1/admin/symbols", &definition(1, shard.clone()));
        assert_eq!(refused.error(), (400, 1001), "{shard}: {refused}");
        assert!(refused.message().contains("shard: must be an integer"), "{shard}: {refused}");
        let is_told = refused.message().contains("from 0 to 1");
        assert!(is_told || !shard.is_number(), "{shard}: {refused}");
    }
    let patch = |body: &str| exchange.admin().call("PATCH", "/api/v1/admin/symbols/S0_USDT", body);
    let refused = patch(r#"{"shard":0}"#);
    assert_eq!(refused.error(), (400, 1001));
    assert!(refused.message().contains("shard: cannot be changed"), "{refused}");
    assert_eq!(told(&exchange.server, 1), [1]);
    // None is the number's, and null is none.
    assert_eq!(admin.post("/api/v1/admin/symbols", &definition(1, json!(null))).data()["shard"], 1);
}

#[test]
fn a_place_is_kept_through_a_kill_a_snapshot_and_other_shard_counts() {
    const USERS: u64 = 4;
    let places = [3, 3, 0, 2];
    let mut exchange = exchange(4, USERS, &places);
    let on = |shards: u16| places.map(|asked| u64::from(asked % shards)).to_vec();
    let (mut made, mut resting) = (0, None);
    // Killed, from a snapshot, on fewer shards, on some between, and as in the beginning.
    for (step, shards) in [4, 4, 2, 3, 1, 4].into_iter().enumerate() {
        if step == 1 {
            exchange.admin().post("/api/v1/admin/snapshots", "");
            wait_for("snapshots of all shards", LIMIT, || {
                let shards = by_shard(&exchange.server, "ringbook_snapshots_total");
                shards.iter().all(|&made| made > 0).then_some(())
            });
        }
        exchange.server.kill();
        exchange.server.set_shards(shards);
        exchange.server.spawn();
        exchange.server.wait_until_ready();
        assert_eq!(told(&exchange.server, places.len()), on(shards), "on {shards} shards");
        // What rested goes on resting where the book is now.
        if let Some(order) = resting.take() {
            let bought = exchange.user(FIRST_USER + 1).trade(&self::order(0, "BUY"));
            assert_eq!(bought["status"], "FILLED", "behind the resting order {order}");
            made += 1;
        }
        trade_round(&exchange, USERS, places.len());
        made += USERS * (1..=places.len() as u64).sum::<u64>();
        let trades = by_shard(&exchange.server, "ringbook_trades_total");
        assert_eq!(trades.iter().sum::<u64>(), made, "on {shards} shards");
        let mut books = vec![0; usize::from(shards)];
        on(shards).into_iter().for_each(|shard| books[shard as usize] += 1);
        assert_eq!(by_shard(&exchange.server, "ringbook_symbols"), books);
        resting = Some(exchange.user(FIRST_USER).trade(&order(0, "SELL"))["order_id"].clone());
        proof_of(&mut exchange.admin());
    }
}

/// Two symbols for a new directory, the second one placed.
fn configuration(shard: &str) -> String {
    let of = |number: u16, more: &str| {
        format!(
            "[[assets]]\nasset = \"S{number}\"\ndecimals = 0\n[[symbols]]\nsymbol = \"{}\"\n\
             base = \"S{number}\"\nquote = \"USDT\"\ntick = \"0.01\"\nlot = \"1\"\n{more}\n",
            symbol(number)
        )
    };
    let usdt = "[[assets]]\nasset = \"USDT\"\ndecimals = 2\n";
    format!("{usdt}{}{}", of(0, ""), of(1, &format!("shard = {shard}")))
}

#[test]
fn a_configuration_places_what_a_new_directory_begins_with() {
    let options =
        |shards| Options { arguments: vec!["--shard-ports".to_owned()], ..Options::shards(shards) };
    let mut server = Server::configured(options(4), &configuration("2"));
    server.spawn();
    server.wait_until_ready();
    assert_eq!(told(&server, 2), [0, 2]);
    assert_eq!(by_shard(&server, "ringbook_symbols"), [1, 0, 1, 0]);
    assert!(server.stop().success(), "{}", server.log());
    let data = server.data().to_str().expect("a path in UTF-8").to_owned();
    let dumped = server::run(&["journal", "dump", "--data", &data]);
    let dumped = String::from_utf8(dumped.stdout).expect("text");
    let records = dumped.lines().filter(|line| line.contains(r#""on_shard":2"#)).count();
    assert_eq!(records, 4, "once asked for and three times told: {dumped}");
    // The file is of the beginning: with fewer shards later it is no error.
    server.set_shards(2);
    server.spawn();
    server.wait_until_ready();
    assert_eq!(told(&server, 2), [0, 0]);
}

#[test]
fn a_configuration_that_names_no_shard_is_refused_before_anything_is_made() {
    for (shard, words) in [
        ("2", ["S1_USDT", "shard: 2 must be 0 to 1"]),
        ("65536", ["shard", "65536"]),
        ("-1", ["shard", "-1"]),
        ("\"first\"", ["shard", "first"]),
    ] {
        let server = Server::configured(
            Options { arguments: Vec::new(), ..Options::shards(2) },
            &configuration(shard),
        );
        let arguments = server.arguments(2, server.port, server.data());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let ended = server::run(&arguments);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(!ended.status.success(), "{shard}: {said}");
        assert!(words.iter().all(|word| said.contains(word)), "{shard}: {said}");
        assert!(!server.data().join("layout").exists(), "{shard}: something was made");
    }
}
