//! What the server needs: idle, for each user, open order and connection; and how large it is itself.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use suite::{Better, Figure};

use crate::own::Context;
use crate::server::{Cores, Server, spawn_on};

const ROUNDS: usize = 3;
/// Half of what a server accepts on one connection.
const WINDOW: usize = 64;
const USERS: usize = 100_000;
const ORDERS: usize = 200_000;
const HTTP_CONNECTIONS: usize = 5_000;
const SOCKETS: usize = 10_000;
const QUICK_DIVISOR: usize = 10;
/// How long memory is left to settle.
const SETTLE: Duration = Duration::from_millis(300);
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
const MB: f64 = 1e6;
const AIM_IDLE_MB: f64 = 50.0;
const AIM_SOCKETS_MB: f64 = 200.0;
const FIRST_USER: usize = 5_000_000;

/// What is measured in a round, in this order.
const ROWS: [(&str, &str, &str); 6] = [
    ("idle", "memory, idle", "MB"),
    ("user", "memory per user with one balance", "bytes"),
    ("order", "memory per open order", "bytes"),
    ("http", "memory per kept HTTP connection", "bytes"),
    ("socket", "memory per WebSocket", "bytes"),
    ("10000-connections", "memory with 10,000 WebSockets, idle otherwise", "MB"),
];

/// The figures.
pub fn measure(context: &Context) -> Result<Vec<Figure>> {
    let mut columns: [Vec<f64>; ROWS.len()] = Default::default();
    for _ in 0..if context.quick { 1 } else { ROUNDS } {
        let round = round(context)?;
        columns.iter_mut().zip(round).for_each(|(column, value)| column.push(value));
    }
    let told = |((row, title, unit), column): ((&str, &str, &str), Vec<f64>)| {
        let figure = Figure::new(&format!("memory/{row}"), title, unit, Better::Lower, column);
        let figure = figure.from("serve --shards 1, resident memory", "scripts/bench memory");
        match row {
            "idle" => figure.target(AIM_IDLE_MB),
            "10000-connections" => figure.target(AIM_SOCKETS_MB),
            _ => figure,
        }
    };
    let mut figures: Vec<Figure> = ROWS.into_iter().zip(columns).map(told).collect();
    if context.quick {
        // Told for fewer, it would be no figure of 10,000.
        figures.pop();
    }
    figures.extend(binary(context)?);
    Ok(figures)
}

fn serve(context: &Context) -> Result<Server> {
    let scratch = &context.places.scratch;
    let (data, cores) = (scratch.join("memory"), Cores::split(1)?);
    let _ = std::fs::remove_dir_all(&data);
    let (data, list) = (data.to_string_lossy(), Cores::list(&cores.server));
    let arguments = ["--shards", "1", "--cores", &list, "--data", &data];
    Server::ringbook(&context.places.target, scratch, &cores.server, &arguments)
}

fn settled(server: &Server) -> Result<f64> {
    std::thread::sleep(SETTLE);
    server.resident_bytes()
}

fn round(context: &Context) -> Result<[f64; ROWS.len()]> {
    let divisor = if context.quick { QUICK_DIVISOR } else { 1 };
    let (users, orders) = (USERS / divisor, ORDERS / divisor);
    let server = serve(context)?;
    let idle = settled(&server)?;
    let mut client = Client::open(&server)?;
    client.post_all((FIRST_USER..FIRST_USER + users).map(|user| Request {
        path: "/api/v1/admin/users",
        header: "X-Admin-Token: dev-admin".to_owned(),
        body: format!(r#"{{"user_id":{user}}}"#),
    }))?;
    client.post_all((FIRST_USER..FIRST_USER + users).map(|user| Request {
        path: "/api/v1/admin/deposits",
        header: "X-Admin-Token: dev-admin".to_owned(),
        body: format!(
            r#"{{"user_id":{user},"asset":"USDT","amount":"1000000000","ref":"memory"}}"#
        ),
    }))?;
    let with_users = settled(&server)?;
    // Buys far below every sell, over a thousand prices.
    client.post_all((0..orders).map(|number| Request {
        path: "/api/v1/create_order",
        header: format!("X-User-ID: {}", FIRST_USER + number % users),
        body: format!(
            r#"{{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"{}","qty":"0.001"}}"#,
            1_000 + number % 1_000
        ),
    }))?;
    let with_orders = settled(&server)?;
    let resting = server.metric("ringbook_resting_orders")?;
    ensure!(resting == orders as f64, "{resting} of {orders} orders rest");
    let connections = HTTP_CONNECTIONS / divisor;
    let kept: Vec<Client> =
        (0..connections).map(|_| Client::open(&server)).collect::<Result<_>>()?;
    let kept = kept.into_iter().map(|mut client| {
        client.ask("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 1)?;
        Ok(client)
    });
    let kept: Vec<Client> = kept.collect::<Result<_>>()?;
    let with_connections = settled(&server)?;
    drop((kept, client, server));
    let [per_socket, with_sockets] = sockets(context, SOCKETS / divisor)?;
    Ok([
        idle / MB,
        (with_users - idle) / users as f64,
        (with_orders - with_users) / orders as f64,
        (with_connections - with_orders) / connections as f64,
        per_socket,
        with_sockets / MB,
    ])
}

/// Memory for each WebSocket, and of the whole process with all of them.
fn sockets(context: &Context, count: usize) -> Result<[f64; 2]> {
    let server = serve(context)?;
    let json = context.places.scratch.join("sockets.json");
    let mut load = Command::new(context.places.target.join("release/ringbook"));
    load.args(["load", "ws", "--channels", "none", "--warmup-s", "0", "--duration-s", "1"]);
    load.args(["--connections", &count.to_string(), "--url", &server.url()]);
    load.args(["--pid", &server.pid().to_string(), "--json"]).arg(&json);
    load.stdout(Stdio::null()).stderr(Stdio::piped());
    let output = spawn_on(&Cores::split(1)?.client, &mut load)?.wait_with_output()?;
    ensure!(output.status.success(), "load ws: {}", String::from_utf8_lossy(&output.stderr));
    let results: Value = serde_json::from_slice(&std::fs::read(&json)?)?;
    let field = |name: &str| {
        let value = results["server"][name].as_f64();
        value.with_context(|| format!("load ws: {name} is missing"))
    };
    Ok([field("resident_per_connection_bytes")?, field("resident_open_bytes")?])
}

fn binary(context: &Context) -> Result<Vec<Figure>> {
    let binary = context.places.target.join("release/ringbook");
    let size = std::fs::metadata(&binary)?.len() as f64 / MB;
    let stripped = context.places.scratch.join("stripped");
    let strip = Command::new("strip").arg("-o").arg(&stripped).arg(&binary).status();
    let title = "size of the binary, with line tables";
    let mut figures = vec![Figure::new("memory/binary", title, "MB", Better::Lower, vec![size])];
    if strip.is_ok_and(|status| status.success()) {
        let size = std::fs::metadata(&stripped)?.len() as f64 / MB;
        let title = "size of the binary, stripped";
        figures.push(Figure::new("memory/stripped", title, "MB", Better::Lower, vec![size]));
    }
    Ok(figures.into_iter().map(|one| one.from("release", "cargo build --release")).collect())
}

struct Request {
    path: &'static str,
    header: String,
    body: String,
}

/// A connection that sends a window of requests at once and waits for all of their answers.
struct Client {
    socket: TcpStream,
    unread: Vec<u8>,
}

impl Client {
    fn open(server: &Server) -> Result<Client> {
        let socket = TcpStream::connect(("127.0.0.1", server.port))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(ANSWER_LIMIT))?;
        Ok(Client { socket, unread: Vec::new() })
    }

    fn post_all(&mut self, requests: impl Iterator<Item = Request>) -> Result<()> {
        let (mut text, mut count) = (String::new(), 0);
        for Request { path, header, body } in requests {
            text += &format!(
                "POST {path} HTTP/1.1\r\nHost: x\r\n{header}\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            count += 1;
            if count == WINDOW {
                self.ask(std::mem::take(&mut text), std::mem::take(&mut count))?;
            }
        }
        self.ask(text, count)
    }

    fn ask(&mut self, text: String, mut answers: usize) -> Result<()> {
        self.socket.write_all(text.as_bytes())?;
        let mut chunk = [0; 64 * 1024];
        while answers > 0 {
            if let Some(length) = answer_length(&self.unread)? {
                self.unread.drain(..length);
                answers -= 1;
                continue;
            }
            let count = self.socket.read(&mut chunk)?;
            ensure!(count > 0, "the server has closed the connection");
            self.unread.extend_from_slice(&chunk[..count]);
        }
        Ok(())
    }
}

/// Length of the first answer, if it is whole. One that is no success is an error.
fn answer_length(bytes: &[u8]) -> Result<Option<usize>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end])?.to_ascii_lowercase();
    ensure!(head.starts_with("http/1.1 2"), "{}", String::from_utf8_lossy(bytes));
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.context("an answer without a length")?.trim().parse()?;
    let whole = end + 4 + length;
    Ok((bytes.len() >= whole).then_some(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_when_it_is_whole() {
        let text = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}HTTP";
        assert_eq!(answer_length(text).unwrap(), Some(text.len() - 4));
        assert_eq!(answer_length(&text[..text.len() - 5]).unwrap(), None);
        assert_eq!(answer_length(b"HTTP/1.1 202").unwrap(), None);
    }

    #[test]
    fn a_refusal_is_an_error() {
        let text = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
        assert!(answer_length(text).unwrap_err().to_string().contains("503"));
    }
}
