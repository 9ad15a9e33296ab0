//! The floor that fan-out is compared with: a server on the same executor and sockets that sends one
//! prebuilt WebSocket frame to all of its connections, so many times a second, without a thought.
//!
//! `cargo run --release -p ringbook-runtime --example bare_frames -- PORT CORE RATE`
//!
//! It looks every millisecond how many frames are due and sends each connection all of them in one
//! call. What a socket does not take is lost. `benches/fanout.rs` drives it.

use runtime::cores::{CoreList, ShardPlacement};
use runtime::drain::{Drain, block_signals};
use runtime::executor::ExecutorSettings;
use runtime::listener::{Connection, Reserved, Writer, reserve};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

const UPGRADED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
/// As long as a trade of the exchange.
const PAYLOAD: &str = r#"{"type":"public.trade","symbol":"BTC_USDT","id":1234567,"price":"50000.00","qty":"0.00100000","quote_qty":"50.00","time":1767225600000,"is_buyer_maker":true}"#;
const PAUSE: Duration = Duration::from_millis(1);
/// Frames that are sent to a connection at once, at the most.
const MAX_BURST: usize = 1_000;

async fn upgrade(mut connection: Connection, open: Rc<RefCell<Vec<Writer>>>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let count = connection.receive(|bytes| {
            request.extend_from_slice(bytes);
            bytes.len()
        });
        if count.await.unwrap_or(0) == 0 {
            return;
        }
    }
    if connection.writer().try_write(UPGRADED).is_ok() {
        open.borrow_mut().push(connection.writer());
    }
    // Keeps the socket, and hears its end.
    while connection.receive(<[u8]>::len).await.unwrap_or(0) > 0 {}
}

async fn publish(open: Rc<RefCell<Vec<Writer>>>, rate: f64) {
    let payload = PAYLOAD.as_bytes();
    let mut frame = vec![0x81, 126];
    frame.extend_from_slice(&(payload.len() as u16).to_be_bytes());
    frame.extend_from_slice(payload);
    let burst = frame.repeat(MAX_BURST);
    let (since, mut sent) = (Instant::now(), 0u64);
    loop {
        glommio::timer::sleep(PAUSE).await;
        let due = (since.elapsed().as_secs_f64() * rate) as u64;
        let frames = ((due - sent) as usize).min(MAX_BURST);
        sent = due;
        for writer in open.borrow().iter() {
            let _ = writer.try_write(&burst[..frames * frame.len()]);
        }
    }
}

async fn run(reserved: Reserved, rate: f64, drain: Drain) {
    let listener = reserved.listen().unwrap();
    let stop = listener.stop_handle();
    let open: Rc<RefCell<Vec<Writer>>> = Rc::default();
    glommio::spawn_local(publish(open.clone(), rate)).detach();
    glommio::spawn_local(async move {
        drain.noticed().await;
        stop.stop();
    })
    .detach();
    listener
        .serve(|connection| {
            glommio::spawn_local(upgrade(connection, open.clone())).detach();
        })
        .await;
}

fn main() {
    block_signals().unwrap();
    let drain = Drain::on_signals().unwrap();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, core, rate] = arguments.as_slice() else {
        panic!("bare_frames PORT CORE RATE");
    };
    let core: CoreList = core.parse().unwrap();
    let placement = ShardPlacement::decide(Some(core), Some(1)).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
    let rate: f64 = rate.parse().unwrap();
    let reserved = reserve(address, 1).unwrap().remove(0);
    let start = move || run(reserved, rate, drain);
    ExecutorSettings::default().start(&placement, 0, start).unwrap().join().unwrap();
}
