//! Where the fuzzer starts: a few inputs per target, each of another shape, made by the code that the
//! targets read. They are committed under `seeds/`; a test tells when they are not up to date.

use engine::{
    Command, Effects, Engine, EngineConfig, Input, Message, PeerBatch, Piece, Place, Submit,
};
use journal::{BLOCK_BYTES, JournalConfig, Lsn, SnapshotHead, SnapshotWriter, block_on};
use money::{
    Lots, OrderId, OrderKind, Price, SelfTrade, ShardId, Side, SymbolId, TimeInForce, UserId,
};

use crate::journal_file::{self, REPAIR_ALL};
use crate::mem_disk::MemDisk;
use crate::records::{NOW_MS, SHARD, SHARDS};
use crate::rkyv_bytes::Archived;
use crate::source::Source;
use crate::{exchange, inputs, journal_mutated, snapshot_file};

/// Names and contents.
pub type Seeds = Vec<(&'static str, Vec<u8>)>;

/// The seeds of every target.
pub fn all() -> [(&'static str, Seeds); 7] {
    [
        ("journal", journal()),
        ("journal_mutated", choices()),
        ("snapshot", snapshot()),
        ("mesh", mesh()),
        ("http", http()),
        ("json", json()),
        ("messages", messages()),
    ]
}

/// Bytes without a pattern, the same every time.
fn noise(length: usize, mut state: u64) -> Vec<u8> {
    let next = |_| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(next).collect()
}

fn some_inputs(count: usize, seed: u64) -> Vec<Input> {
    let bytes = noise(count * 400, seed);
    bytes.chunks(400).map(|chunk| inputs::input(&mut Source::new(chunk))).collect()
}

/// What a client does most.
fn order(number: u64) -> Input {
    Input::Command(Command::Place(Place {
        user: UserId(number),
        symbol: SymbolId(1),
        side: Side::Buy,
        kind: OrderKind::Limit,
        time_in_force: TimeInForce::Gtc,
        self_trade: SelfTrade::None,
        wait: false,
        price: Price(100 + number),
        qty: Lots(number),
        quote_qty: None,
        cid: money::Cid::parse("seed").ok(),
    }))
}

fn submit(ticket: u64) -> Message {
    Message::Submit(Submit {
        ticket,
        // The first one of shard 1.
        order: OrderId(1025),
        user: UserId(7),
        symbol: SymbolId(0),
        side: Side::Sell,
        time_in_force: TimeInForce::Gtc,
        self_trade: SelfTrade::ExpireBoth,
        post_only: false,
        market: false,
        wait: true,
        price: Price(9_990),
        qty: Lots(3),
        budget: None,
    })
}

fn journal() -> Seeds {
    let block = BLOCK_BYTES as u64;
    let config = JournalConfig {
        segment_bytes: 3 * block,
        first_segment_bytes: 3 * block,
        batch_bytes: 2 * BLOCK_BYTES,
        reserve_bytes: block,
        ..JournalConfig::new(SHARD, SHARDS)
    };
    let at = |inputs: Vec<Input>| -> Vec<(u64, Input)> { (NOW_MS..).zip(inputs).collect() };
    let orders = journal_mutated::sample(&at((1..=7).map(order).collect()), &config);
    let mixed = journal_mutated::sample(&at(some_inputs(9, 1)), &config);
    let write = |segments: &[Vec<u8>], repairs| {
        journal_file::write(segments.iter().map(Vec::as_slice), repairs)
    };
    vec![
        ("orders", write(&orders, REPAIR_ALL)),
        ("orders-as-they-are", write(&orders, 0)),
        ("mixed", write(&mixed, REPAIR_ALL)),
        ("archived", write(&orders[1..], REPAIR_ALL | journal_file::LATE)),
    ]
}

fn choices() -> Seeds {
    vec![
        ("short", noise(200, 2)),
        ("middle", noise(1_000, 3)),
        ("long", noise(3_000, 4)),
        ("nothing", Vec::new()),
    ]
}

/// Of two shards the first: definitions, orders, trades, messages and a cut under way.
fn shard() -> Engine {
    let config = EngineConfig { shard: ShardId(0), shards: snapshot_file::SHARDS, hash_seed: 1 };
    let mut engine = Engine::new(config);
    let mut effects = Effects::default();
    let mut step = |now_ms, input: Input| {
        let _ = engine.step(now_ms, &input, None, &mut effects);
    };
    let commands = exchange::setup(u64::from(snapshot_file::SHARDS));
    commands.into_iter().for_each(|command| step(NOW_MS, Input::Command(command)));
    // A minute later, so that a candle is over when the next trade is made.
    let later_ms = NOW_MS + 60_000;
    let batch = PeerBatch {
        source: ShardId(1),
        first_sequence: 1,
        confirmed: 1,
        messages: vec![
            submit(1),
            Message::Reference { symbol: SymbolId(5), price: Price(77) },
            Message::Reference { symbol: SymbolId(1), price: Price(19_300) },
        ],
    };
    step(later_ms, Input::Peer(batch));
    let elsewhere = Place {
        user: UserId(1000),
        symbol: SymbolId(1),
        side: Side::Buy,
        kind: OrderKind::Market,
        time_in_force: TimeInForce::Ioc,
        self_trade: SelfTrade::None,
        wait: true,
        price: Price(0),
        qty: Lots(2),
        quote_qty: None,
        cid: None,
    };
    step(later_ms, Input::Command(Command::Place(elsewhere)));
    step(later_ms, Input::Command(Command::Prove));
    engine
}

fn snapshot() -> Seeds {
    let engine = shard();
    let pieces: Vec<Piece> = engine.image().collect();
    let archives: Vec<Vec<u8>> = pieces.iter().map(Archived::encode).collect();
    let write = |lsn| snapshot_file::write(lsn, archives.iter().map(Vec::as_slice));
    let empty = Engine::new(EngineConfig { shard: ShardId(0), shards: 2, hash_seed: 1 });
    let nothing: Vec<Vec<u8>> = empty.image().map(|piece| piece.encode()).collect();
    let head = SnapshotHead {
        shard: ShardId(0),
        shards: snapshot_file::SHARDS,
        lsn: Lsn(0),
        state_hash: engine.state_hash(),
        time_ms: NOW_MS,
        created_ms: NOW_MS,
    };
    let disk = MemDisk::default();
    let file = block_on(async {
        let mut writer = SnapshotWriter::begin(disk.clone(), head).await?;
        for piece in &pieces {
            writer.piece(piece).await?;
        }
        writer.finish().await
    });
    let file = file.expect("the disk has no faults");
    let plain = snapshot_file::write_plain(&disk.files()[&file.name]);
    vec![
        ("pieces", write(0)),
        ("pieces-of-a-later-record", write(9)),
        ("empty", snapshot_file::write(0, nothing.iter().map(Vec::as_slice))),
        ("as-it-is", plain),
    ]
}

fn mesh() -> Seeds {
    let batch = PeerBatch {
        source: ShardId(1),
        first_sequence: 5,
        confirmed: 3,
        messages: vec![submit(1), Message::Marker { ticket: 2 }, Message::Defined { ticket: 3 }],
    };
    let many = inputs::batch(&mut Source::new(&noise(900, 5)));
    let with = |kind: u8, bytes: Vec<u8>| [vec![kind], bytes].concat();
    vec![
        ("order", with(0, order(1).encode())),
        ("input-of-a-peer", with(0, Input::Peer(batch.clone()).encode())),
        ("batch", with(1, batch.encode())),
        ("batch-of-many", with(1, many.encode())),
        ("choices-of-an-input", with(2, noise(300, 6))),
        ("choices-of-a-batch", with(3, noise(900, 7))),
    ]
}

fn http() -> Seeds {
    let place = r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"100.50","qty":"2"}"#;
    let post = format!(
        "POST /api/v1/create_order HTTP/1.1\r\nHost: x\r\nX-User-ID: 1001\r\n\
         Content-Length: {}\r\n\r\n{place}",
        place.len()
    );
    let half = place.len() / 2;
    let chunked = format!(
        "POST /api/v1/create_order?wait=true HTTP/1.1\r\nHost: x\r\nX-User-ID: 1002\r\n\
         Prefer: wait\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n\
         {half:x};a=b\r\n{}\r\n{:x}\r\n{}\r\n0\r\nTrailer: 1\r\n\r\n",
        &place[..half],
        place.len() - half,
        &place[half..]
    );
    let reads = "GET /api/v1/public/depth?symbol=BTC%5FUSDT&limit=5 HTTP/1.1\r\nHost: x\r\n\r\n\
                 HEAD /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n\
                 OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n\
                 GET http://x/api/v1/orders?limit=3&status=OPEN HTTP/1.1\r\nHost: x\r\n\
                 X-User-ID: 1002\r\nConnection: close\r\n\r\n";
    let admin = "GET /api/v1/admin/book?symbol=BTC_USDT&side=SELL HTTP/1.1\r\nHost: x\r\n\
                 X-Admin-Token: dev-admin\r\n\r\n\
                 DELETE /api/v1/admin/orders?user_id=1001 HTTP/1.1\r\nHost: x\r\n\
                 X-Admin-Token: dev-admin\r\n\r\n\
                 GET /api/v1/balances HTTP/1.1\r\nHost: x\r\nX-User-ID: 1001\r\n\r\n";
    // A body of 65,536 letters, as a run.
    let mut long = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 65536\r\n\r\n".to_vec();
    long.extend_from_slice(b"\xffa\xff\xffaGET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let plan = |flags: u8, slices: &[u8], stream: &[u8]| {
        [&[flags, slices.len() as u8], slices, stream].concat()
    };
    vec![
        ("pipelined", plan(0x23, &[1, 40, 7], post.repeat(3).as_bytes())),
        ("chunked", plan(0, &[3, 0, 90], chunked.as_bytes())),
        ("reads", plan(0x15, &[200], reads.as_bytes())),
        ("admin", plan(0x02, &[13], admin.as_bytes())),
        ("long-body", plan(0x04, &[255, 0], &long)),
    ]
}

fn messages() -> Seeds {
    [
        ("subscribe", r#"{"type":"subscribe","id":1,"channels":["depth:BTC_USDT","kline_5m:ESH4_USDT"]}"#),
        (
            "place",
            r#"{"type":"order.place","id":"a","wait":true,"data":{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"100.50","qty":2e-1}}"#,
        ),
        ("cancel", r#"{"type":"order.cancel","data":{"cid":"c-1"}}"#),
        ("login", r#"{"method":"auth.login","params":{"api_key":1001,"api_secret":"x"},"id":7}"#),
        (
            "rpc-place",
            r#"{"method":"order.place","params":{"symbol":"ESH4_USDT","side":"SELL","type":"POST_ONLY","price":4800,"quantity":"3","client_order_id":"c-2","account_id":1001},"id":null}"#,
        ),
        ("rpc-status", r#"{"method":"order.status","params":{"order_id":"ord_1024"},"id":"b"}"#),
        ("follow", r#"{"method":"market_data.subscribe","params":{"symbols":["BTC_USDT"],"depth":5},"id":1}"#),
        ("list", r#"{"method":"order.list","params":{"status":"NEW","limit":5},"id":2}"#),
    ]
    .map(|(name, text)| (name, text.as_bytes().to_vec()))
    .to_vec()
}

fn json() -> Seeds {
    [
        (
            "limit",
            r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","time_in_force":"GTC","price":"100.50","qty":2e-1,"cid":"c-1","stp":"NONE","post_only":false}"#,
        ),
        ("market", r#"{"symbol":"ESH4_USDT","side":"SELL","order_type":"MARKET","quote_qty":1.5e3}"#),
        ("change", r#"{"order_id":"1024","reduce_qty":"1","new_price":4800.25,"x":[{"y":null}]}"#),
        ("asset", r#"{"asset":"ETH","decimals":18}"#),
        (
            "symbol",
            r#"{"symbol":"BTC_ESH4","base":"BTC","quote":"ESH4","tick":"1","lot":"1","min_qty":1,"max_qty":"5","min_notional":0,"maker_fee_ppm":10,"taker_fee_ppm":100000,"price_band_ppm":5,"status":"HALTED","reference_price":3}"#,
        ),
        ("user", r#"{"user_id":9007199254740991,"name":"\u00e9\ud83d\ude00\n","frozen":true}"#),
        ("payment", r#"{"user_id":1001,"asset":"USDT","amount":"0.01","ref":"r-1","to":"bank"}"#),
        ("rates", r#"{"role":"SUPPORT","orders_per_second":5,"burst":2,"user_id":1002}"#),
        ("login", r#"{"user_id":"1001","password":"correct horse","refresh_token":"0123.abc"}"#),
        (
            "key",
            r#"{"name":"bot","permissions":["read","trade"],"addresses":["10.0.0.0/8","::1"],"expires_in_s":60}"#,
        ),
    ]
    .map(|(name, body)| (name, body.as_bytes().to_vec()))
    .to_vec()
}
