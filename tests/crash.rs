//! `kill -9` at random moments: what was acknowledged is there afterwards, once, and a replay that
//! goes on after each kill ends as if there had been none.

mod support;

use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use support::StopAtEnd;
use support::exchange::{Exchange, FIRST_USER, check_proof, limit, number, payment, units, word};
use support::http::Client;
use support::random::{Random, seed};
use support::server::{self, Options, Server};
use support::sets::{FlowSet, recorded_or_generated};

const SEED_VARIABLE: &str = "RINGBOOK_CRASH_SEED";
/// How long a client tries to get one thing through, over all kills.
const CLIENT_LIMIT: Duration = Duration::from_secs(120);

/// Records that all shards have appended, if the server answers.
fn appended(admin: &mut Client) -> Option<u64> {
    let answer = admin.try_call("GET", "/api/v1/admin/shards", "", "").ok()?;
    let shards = answer.json()["data"].take();
    let records = shards.as_array()?.iter().map(|shard| number(&shard["appended_lsn"]));
    Some(records.sum())
}

/// Replays a set over HTTP while the server is killed so many times, spread over the whole of it.
fn replay_with_kills(set: &FlowSet, shards: u16, kills: u64, random: &mut Random) {
    let mut server = Server::empty(shards);
    let out = server::directory();
    let url = server.url();
    let arguments = set.replay_arguments(out.path(), &["--url", &url, "--reconnect-s", "60"]);
    let log = std::fs::File::create(out.path().join("log")).expect("a file");
    let mut driver = server::command()
        .args(arguments)
        .stdout(log.try_clone().expect("a file"))
        .stderr(log)
        .spawn()
        .expect("the binary starts");
    // A command is a record on one shard, and more of them on several.
    let records = set.commands() * if shards == 1 { 1 } else { 3 };
    let mut moments: Vec<u64> = (0..kills).map(|_| random.below(records)).collect();
    moments.sort_unstable();
    let mut done = 0;
    for moment in moments {
        if !wait_for_records(&server, &mut driver, moment) {
            break;
        }
        // Not always between two looks at it.
        std::thread::sleep(Duration::from_micros(random.below(3_000)));
        server.kill();
        server.spawn();
        if random.chance(25) {
            // In the middle of its recovery too.
            std::thread::sleep(Duration::from_millis(random.below(60)));
            server.kill();
            server.spawn();
            done += 1;
        }
        server.wait_until_ready();
        done += 1;
    }
    let status = wait_for_driver(&mut driver);
    let log = std::fs::read_to_string(out.path().join("log")).unwrap_or_default();
    assert!(status.success(), "{}, {shards} shards: {status}\n{log}", set.name);
    let how = format!("over HTTP on {shards} shards with {done} kills");
    set.expect_results(out.path(), &how);
    check_proof(&Client::admin(server.port).get("/api/v1/admin/proof").data());
    println!("{}: {how}: identical", set.name);
    assert!(done >= kills.min(2), "{}: the replay was over after {done} kills", set.name);
}

/// Whether the server came so far before the replay ended.
fn wait_for_records(server: &Server, driver: &mut Child, records: u64) -> bool {
    let mut admin = Client::admin(server.port);
    let begin = Instant::now();
    loop {
        if driver.try_wait().expect("the driver can be waited for").is_some() {
            return false;
        }
        if appended(&mut admin).is_some_and(|appended| appended >= records) {
            return true;
        }
        assert!(
            begin.elapsed() < CLIENT_LIMIT,
            "no progress to record {records}: {}",
            server.log()
        );
        std::thread::sleep(Duration::from_micros(300));
    }
}

fn wait_for_driver(driver: &mut Child) -> std::process::ExitStatus {
    support::wait_for("the replay to end", 2 * CLIENT_LIMIT, || {
        driver.try_wait().expect("the driver can be waited for")
    })
}

fn replays_with_kills(name: &str, runs: &[(u16, u64)]) {
    let random = Random::new(seed(SEED_VARIABLE, "crash"));
    let directory = server::directory();
    let set = recorded_or_generated(name, directory.path());
    for (run, &(shards, kills)) in runs.iter().enumerate() {
        replay_with_kills(&set, shards, kills, &mut random.fork(run as u64));
    }
}

#[test]
fn a_small_replay_survives_kills() {
    replays_with_kills("zxi-1k-cancel", &[(1, 3), (2, 5)]);
}

#[test]
fn a_replay_of_the_stock_exchange_survives_kills() {
    replays_with_kills("lobster-aapl", &[(1, 6)]);
}

#[test]
fn a_replay_of_the_futures_exchange_survives_kills() {
    replays_with_kills("cme-es", &[(1, 6)]);
}

/// What a client was told, and must find again.
#[derive(Default)]
struct Told {
    /// `cid` and order id.
    orders: Vec<(String, u64)>,
    /// Amounts of deposits in USDT, in units.
    deposits: u64,
}

/// Places and deposits, each again and again until it is acknowledged.
fn trade_through_crashes(port: u16, user: u64, mut random: Random, stop: &AtomicBool) -> Told {
    /// What a shard remembers of ended orders is far more for all clients together.
    const MOST_ORDERS: usize = 8_000;
    let (mut client, mut admin) = (Client::user(port, user), Client::admin(port));
    let mut told = Told::default();
    while !stop.load(Ordering::Relaxed) && told.orders.len() < MOST_ORDERS {
        let number = told.orders.len();
        if random.chance(10) {
            let amount = 1 + random.below(10_000);
            let text = format!("{}.{:02}", amount / 100, amount % 100);
            let body = payment(user, "USDT", &text, &format!("load-{number}-{}", told.deposits));
            insist(&mut admin, "/api/v1/admin/deposits", &body);
            told.deposits += amount;
            continue;
        }
        let cid = format!("c-{number}");
        let side = if random.chance(50) { "BUY" } else { "SELL" };
        let time_in_force = if random.chance(30) { "IOC" } else { "GTC" };
        let price = format!("{}.{:02}", 95 + random.below(10), random.below(100));
        let more = format!(r#","cid":"{cid}","time_in_force":"{time_in_force}""#);
        let body = limit(side, &price, &format!("0.{:04}", 1 + random.below(9_999)), &more);
        let placed = insist(&mut client, "/api/v1/create_order", &body);
        let order = number_of(&placed, "order_id");
        if random.chance(20) {
            // Whether it came through does not matter here.
            let cancel = format!(r#"{{"order_id":{order}}}"#);
            let _ = client.try_call("POST", "/api/v1/cancel_order", "", &cancel);
        }
        told.orders.push((cid, order));
    }
    told
}

fn number_of(data: &serde_json::Value, name: &str) -> u64 {
    number(&data[name])
}

/// Sends until there is an answer that says yes.
fn insist(client: &mut Client, path: &str, body: &str) -> serde_json::Value {
    let begin = Instant::now();
    loop {
        match client.try_call("POST", path, "", body) {
            Ok(answer) if answer.status < 300 => return answer.data(),
            Ok(answer) => assert_eq!(answer.status, 503, "{path} {body}: {answer}"),
            Err(_) => {}
        }
        assert!(begin.elapsed() < CLIENT_LIMIT, "{path} {body}: no answer for so long");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Kills a server under load, and looks for everything that it had acknowledged.
fn kill_under_load(shards: u16, kills: u64, random: &mut Random) {
    const CLIENTS: u64 = 8;
    let mut exchange = Exchange::with(Options::shards(shards), CLIENTS);
    let stop = AtomicBool::new(false);
    let port = exchange.server.port;
    let told: Vec<Told> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (random, stop) = (random.fork(client), &stop);
                let user = FIRST_USER + client;
                scope.spawn(move || trade_through_crashes(port, user, random, stop))
            })
            .collect();
        let stop_at_end = StopAtEnd(&stop);
        for _ in 0..kills {
            std::thread::sleep(Duration::from_millis(50 + random.below(250)));
            exchange.server.kill_and_restart();
            exchange.proof();
        }
        drop(stop_at_end);
        clients.into_iter().map(|client| client.join().expect("a client")).collect()
    });
    // And once more with nothing under way.
    exchange.server.kill_and_restart();
    let count = expect_told(&exchange, &told);
    println!("{shards} shards, {kills} kills: {count} orders, all there");
}

/// Panics unless everything that the clients were told is so.
fn expect_told(exchange: &Exchange, told: &[Told]) -> usize {
    let (mut usdt, mut paid, mut count) = (0, 0, 0);
    for (user, told) in (FIRST_USER..).zip(told) {
        let mut client = exchange.user(user);
        for (cid, order) in &told.orders {
            let found = client.get(&format!("/api/v1/order?cid={cid}"));
            assert_eq!(
                found.status, 200,
                "order {order}, {cid} of {user} was acknowledged: {found}"
            );
            assert_eq!(
                number_of(&found.data(), "order_id"),
                *order,
                "{cid} of {user} became another"
            );
        }
        let balances = client.get("/api/v1/balances").data();
        let row =
            balances.as_array().and_then(|rows| rows.iter().find(|row| row["asset"] == "USDT"));
        usdt += units(word(&row.expect("USDT")["total"]));
        paid += i128::from(told.deposits);
        count += told.orders.len();
    }
    let proof = exchange.proof();
    let expected = paid + told.len() as i128 * units(support::exchange::USDT_EACH);
    assert_eq!(proof["USDT"].deposits, expected, "deposits counted once each");
    assert_eq!((proof["USDT"].in_flight, usdt), (0, expected), "nothing appears or vanishes");
    count
}

#[test]
fn what_was_acknowledged_under_load_survives_kills() {
    let mut random = Random::new(seed(SEED_VARIABLE, "crash"));
    for shards in [1, 2, 4] {
        kill_under_load(shards, 4, &mut random);
    }
}

#[test]
fn a_server_killed_while_it_begins_begins_again() {
    let mut random = Random::new(seed(SEED_VARIABLE, "crash"));
    // With the demo markets, which are made at the first start.
    let options = Options {
        shards: 2,
        arguments: ["--segment-mib", "2", "--shard-ports"].map(str::to_owned).to_vec(),
    };
    let mut server = Server::start(options);
    let expected = definitions(&server);
    for _ in 0..12 {
        server.kill();
        std::fs::remove_dir_all(server.data()).expect("removed");
        for _ in 0..3 {
            server.spawn();
            std::thread::sleep(Duration::from_millis(random.below(40)));
            server.kill();
        }
        server.spawn();
        server.wait_until_ready();
        assert_eq!(definitions(&server), expected);
    }
}

/// Assets, symbols and who has what.
fn definitions(server: &Server) -> (String, Vec<String>) {
    let mut client = Client::anonymous(server.port);
    let info = client.get("/api/v1/public/exchange_info").text().to_owned();
    let balances = (1001..1011)
        .map(|user| Client::user(server.port, user).get("/api/v1/balances").text().to_owned());
    (info, balances.collect())
}
