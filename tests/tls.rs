//! TLS from outside: the real binary, with rustls and tungstenite as its clients. What a certificate or
//! a handshake may be is tested beside the code; here is what a client gets from it.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
};
use serde_json::{Value, json};
use support::http::{Answer, connect, read_answer};
use support::server::{Options, Server, directory, run_within};
use support::{LIMIT, wait_for};
use tempfile::TempDir;
use tungstenite::client::client_with_config;
use tungstenite::{Message, WebSocket};

/// A file to serve that no socket takes at once.
const LARGE_BYTES: usize = 4 << 20;
/// How long the server waits for a handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A server with TLS on its ports, and the markets and users that a new one begins with.
struct Secure {
    server: Server,
    directory: TempDir,
    trusted: RootCertStore,
}

impl Secure {
    fn start(shards: u16, min_version: &str) -> Secure {
        let directory = directory();
        let path = |name: &str| directory.path().join(name).to_str().expect("UTF-8").to_owned();
        let mut trusted = RootCertStore::empty();
        trusted.add(write_certificate(&directory)).expect("a certificate");
        let pages = directory.path().join("pages");
        std::fs::create_dir(&pages).expect("a directory");
        std::fs::write(pages.join("large.txt"), large()).expect("a file");
        let (certificate, key) = (path("certificate.pem"), path("key.pem"));
        let configuration = format!(
            "[tls]\ncertificate = {certificate:?}\nkey = {key:?}\nmin_version = {min_version:?}\n"
        );
        let arguments = ["--shard-ports", "--segment-mib", "2", "--static-dir", &path("pages")];
        let arguments = arguments.map(str::to_owned).to_vec();
        let mut server = Server::configured(Options { shards, arguments }, &configuration);
        server.spawn();
        wait_for("the server to listen", LIMIT, || {
            assert!(server.is_running(), "{}", server.log());
            server.log().contains("listening on https://").then_some(())
        });
        Secure { server, directory, trusted }
    }

    fn config(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(self.trusted.clone())
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config
    }

    /// A connection whose handshake is done.
    fn try_open(&self, port: u16, config: ClientConfig) -> std::io::Result<Stream> {
        let name = "localhost".try_into().expect("a name");
        let session = ClientConnection::new(Arc::new(config), name).expect("a client");
        let mut stream = StreamOwned::new(session, connect(port)?);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(stream)
    }

    fn open_at(&self, port: u16) -> Stream {
        self.try_open(port, self.config(&[&TLS12, &TLS13])).expect("a handshake")
    }

    fn open(&self) -> Stream {
        self.open_at(self.server.port)
    }

    fn socket(&self, user: u64, port: u16) -> WebSocket<Stream> {
        let url = format!("wss://localhost:{port}/ws?user_id={user}");
        let opened = client_with_config(url, self.open_at(port), None);
        let (mut socket, _) = opened.expect("a WebSocket");
        assert_eq!(next(&mut socket)["type"], "connected");
        socket
    }
}

fn write_certificate(directory: &TempDir) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    let write = |name, text: String| {
        std::fs::write(directory.path().join(name), text).expect("a file");
    };
    write("certificate.pem", made.cert.pem());
    write("key.pem", made.signing_key.serialize_pem());
    made.cert.der().clone()
}

fn large() -> Vec<u8> {
    (0..LARGE_BYTES).map(|number| (number * 31 % 251) as u8).collect()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nX-User-ID: 1001\r\n\r\n")
}

fn ask(stream: &mut Stream, request: &str) -> Answer {
    stream.write_all(request.as_bytes()).expect("sent");
    read_answer(stream, &mut Vec::new(), false).expect("an answer")
}

fn next(socket: &mut WebSocket<Stream>) -> Value {
    loop {
        match socket.read().expect("a message") {
            Message::Text(text) => return support::websocket::parse(text.as_str()),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn shown(stream: &Stream) -> CertificateDer<'static> {
    stream.conn.peer_certificates().expect("shown")[0].clone().into_owned()
}

#[test]
fn every_port_speaks_both_versions_and_http_inside() {
    let secure = Secure::start(2, "1.2");
    let ports = [secure.server.port, secure.server.shard_port(0), secure.server.shard_port(1)];
    for port in ports {
        for (version, expected) in
            [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)]
        {
            let mut stream = secure.try_open(port, secure.config(&[version])).expect("a handshake");
            assert_eq!(stream.conn.protocol_version(), Some(expected));
            assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
            for _ in 0..3 {
                let answer = ask(&mut stream, &get("/api/v1/public/depth?symbol=BTC_USDT"));
                assert_eq!(answer.data()["symbol"], "BTC_USDT");
            }
        }
    }
    let mut http2 = secure.config(&[&TLS13]);
    http2.alpn_protocols = vec![b"h2".to_vec()];
    assert!(secure.try_open(ports[0], http2).is_err(), "nothing else is spoken");
    let metrics = ask(&mut secure.open(), &get("/metrics"));
    let done = |line: &&str| line.starts_with("ringbook_tls_handshakes_total{");
    let counted =
        metrics.text().lines().filter(done).filter_map(|line| line.split(' ').next_back());
    assert_eq!(counted.map(|count| count.parse::<u32>().expect("a number")).sum::<u32>(), 7);
}

#[test]
fn an_older_version_than_is_asked_for_gets_nothing() {
    let secure = Secure::start(1, "1.3");
    let error = secure.try_open(secure.server.port, secure.config(&[&TLS12])).unwrap_err();
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
    let mut stream = secure.try_open(secure.server.port, secure.config(&[&TLS13])).expect("good");
    assert_eq!(ask(&mut stream, &get("/healthz")).status, 200);
}

#[test]
fn a_slow_reader_gets_every_byte_of_many_large_answers() {
    const ANSWERS: usize = 4;
    let secure = Secure::start(1, "1.2");
    let large = large();
    for version in [&TLS12, &TLS13] {
        let config = secure.config(&[version]);
        let mut stream = secure.try_open(secure.server.port, config).expect("a handshake");
        // More than the sockets hold, and all asked for before anything is read.
        let requests = get("/large.txt").repeat(ANSWERS) + &get("/healthz");
        stream.write_all(requests.as_bytes()).expect("sent");
        // Another connection is served meanwhile.
        assert_eq!(ask(&mut secure.open(), &get("/healthz")).status, 200);
        let mut pending = Vec::new();
        for _ in 0..ANSWERS {
            let answer = read_answer(&mut stream, &mut pending, false).expect("an answer");
            assert!(answer.status == 200 && answer.body == large);
        }
        let last = read_answer(&mut stream, &mut pending, false).expect("an answer");
        assert_eq!(last.status, 200);
    }
}

#[test]
fn the_last_answer_arrives_whole_and_the_end_is_said() {
    let secure = Secure::start(1, "1.2");
    let mut stream = secure.open();
    let request = get("/large.txt").replace("X-User-ID: 1001", "Connection: close");
    stream.write_all(request.as_bytes()).expect("sent");
    let answer = read_answer(&mut stream, &mut Vec::new(), false).expect("an answer");
    assert!(answer.body == large());
    // Without a close_notify this would be an error.
    assert_eq!(stream.read(&mut [0; 8]).expect("an end"), 0);
}

#[test]
fn pipelined_requests_in_any_pieces_are_answered_in_order() {
    let secure = Secure::start(2, "1.2");
    let mut stream = secure.open();
    let symbols = ["BTC_USDT", "ETH_USDT", "ETH_BTC"].repeat(20);
    let path = |symbol: &&str| get(&format!("/api/v1/public/depth?symbol={symbol}"));
    let requests: String = symbols.iter().map(path).collect();
    for piece in requests.as_bytes().chunks(97) {
        stream.write_all(piece).expect("sent");
    }
    let mut pending = Vec::new();
    for symbol in symbols {
        let answer = read_answer(&mut stream, &mut pending, false).expect("an answer");
        assert_eq!(answer.data()["symbol"], symbol);
    }
}

#[test]
fn a_request_longer_than_a_record_is_read_whole() {
    let secure = Secure::start(1, "1.2");
    let mut stream = secure.open();
    let body = format!(r#"{{"symbol":"NO_SUCH","pad":"{}"}}"#, "x".repeat(40_000));
    let length = body.len();
    let answer = ask(
        &mut stream,
        &format!(
            "POST /api/v1/create_order HTTP/1.1\r\nHost: localhost\r\nX-User-ID: 1001\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        ),
    );
    assert!(answer.status == 400 || answer.status == 404, "{answer}");
    assert_eq!(ask(&mut stream, &get("/healthz")).status, 200, "the connection goes on");
}

#[test]
fn orders_are_pushed_over_a_websocket_of_another_shard() {
    let secure = Secure::start(2, "1.2");
    for shard in 0..2 {
        let mut socket = secure.socket(1001, secure.server.shard_port(shard));
        let subscribe =
            json!({"type": "subscribe", "channel": "depth", "symbol": "BTC_USDT", "id": 1});
        socket.send(Message::text(subscribe.to_string())).expect("sent");
        let order =
            r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"100.00","qty":"0.5"}"#;
        let length = order.len();
        let request = format!(
            "POST /api/v1/create_order HTTP/1.1\r\nHost: localhost\r\nX-User-ID: 1001\r\n\
             Content-Length: {length}\r\n\r\n{order}"
        );
        let placed = ask(&mut secure.open_at(secure.server.shard_port(1 - shard)), &request);
        assert_eq!(placed.status, 202, "{placed}");
        let id = placed.data()["order_id"].clone();
        loop {
            let message = next(&mut socket);
            if message["type"] == "order.update" && message["data"]["order_id"] == id {
                break;
            }
        }
        socket.close(None).expect("closing");
        let ended = std::iter::repeat_with(|| socket.read()).find_map(Result::err);
        assert!(matches!(ended, Some(tungstenite::Error::ConnectionClosed)), "{ended:?}");
    }
}

#[test]
fn plain_http_and_half_a_handshake_come_to_nothing() {
    let secure = Secure::start(1, "1.2");
    let mut plain = connect(secure.server.port).expect("connected");
    plain.write_all(get("/healthz").as_bytes()).expect("sent");
    let mut said = Vec::new();
    let _ = plain.read_to_end(&mut said);
    assert!(!said.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&said));

    // The beginning of a hello whose end never comes; and nothing at all.
    let mut half = connect(secure.server.port).expect("connected");
    half.write_all(&[22, 3, 1, 2, 0, 1, 0]).expect("sent");
    let silent = connect(secure.server.port).expect("connected");
    assert_eq!(ask(&mut secure.open(), &get("/healthz")).status, 200, "others are served");
    for mut stream in [half, silent] {
        stream.set_read_timeout(Some(HANDSHAKE_LIMIT + LIMIT)).expect("a limit");
        match stream.read_to_end(&mut Vec::new()) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
    let metrics = ask(&mut secure.open(), &get("/metrics"));
    assert!(metrics.text().contains("ringbook_tls_handshakes_failed_total{shard=\"0\"} 3"));
    assert!(metrics.text().contains("ringbook_tls_handshakes_under_way{shard=\"0\"} 0"));
}

#[test]
fn a_hang_up_changes_the_certificate_of_new_connections_alone() {
    let mut secure = Secure::start(2, "1.2");
    let hang_up = |server: &Server| {
        let signal = format!("kill -HUP {}", server.process_id());
        assert!(Command::new("sh").args(["-c", &signal]).status().expect("a shell").success());
    };
    let config = secure.config(&[&TLS13]);
    let open =
        |secure: &Secure| secure.try_open(secure.server.port, config.clone()).expect("a handshake");
    let mut old = open(&secure);
    // With a ticket in hand a client would come back without looking at a certificate.
    assert_eq!(ask(&mut old, &get("/healthz")).status, 200);
    let first = shown(&old);

    let key = secure.directory.path().join("key.pem");
    let good = std::fs::read(&key).expect("the key");
    std::fs::write(&key, "no key").expect("a file");
    hang_up(&secure.server);
    let is_told = || secure.server.log().contains(key.to_str().expect("UTF-8")).then_some(());
    wait_for("the error to be told", LIMIT, is_told);
    assert_eq!(shown(&open(&secure)), first);
    std::fs::write(&key, good).expect("a file");

    let second = write_certificate(&secure.directory);
    secure.trusted.add(second.clone()).expect("a certificate");
    hang_up(&secure.server);
    wait_for("the certificate to be read", LIMIT, || {
        secure.server.log().contains("new connections get the certificate").then_some(())
    });
    for shard in 0..2 {
        assert_eq!(shown(&secure.open_at(secure.server.shard_port(shard))), second);
    }
    for _ in 0..3 {
        assert_eq!(ask(&mut old, &get("/healthz")).status, 200, "the old one goes on");
    }
    assert_eq!(shown(&old), first);
    assert!(secure.server.stop().success());
}

#[test]
fn a_certificate_that_cannot_be_used_is_told_before_anything_listens() {
    let directory = directory();
    write_certificate(&directory);
    let path = |name: &str| directory.path().join(name).to_str().expect("UTF-8").to_owned();
    let (certificate, data) = (path("certificate.pem"), path("data"));
    let arguments = ["serve", "--port", "0", "--data", &data, "--tls-certificate", &certificate];
    let begun = run_within(LIMIT, &arguments);
    assert_eq!(begun.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&begun.stderr).contains("tls.key"));
    let begun = run_within(LIMIT, &[&arguments[..], &["--tls-key", &certificate]].concat());
    assert_eq!(begun.status.code(), Some(1));
    let told = String::from_utf8_lossy(&begun.stderr).into_owned();
    assert!(told.contains("tls.key") && told.contains(&certificate), "{told}");
}

#[test]
fn a_hang_up_without_tls_changes_nothing() {
    let mut server = Server::empty(1);
    let signal = format!("kill -HUP {}", server.process_id());
    assert!(Command::new("sh").args(["-c", &signal]).status().expect("a shell").success());
    wait_for("the log line", LIMIT, || {
        server.log().contains("there is no certificate").then_some(())
    });
    assert!(server.is_running());
    assert!(server.stop().success());
}
