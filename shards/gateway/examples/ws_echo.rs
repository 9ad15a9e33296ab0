//! A WebSocket server that says back what it is told, a thread a connection: for the Autobahn test
//! suite, which checks every corner of the protocol.
//!
//! `cargo run --release -p ringbook-gateway --example ws_echo -- 127.0.0.1:9001`, then
//! `wstest -m fuzzingclient -s spec.json` with `{"outdir":"reports","exclude-cases":[],
//! "exclude-agent-cases":{},"servers":[{"agent":"ringbook","url":"ws://127.0.0.1:9001/"}],
//! "cases":["1.*","2.*","3.*","4.*","5.*","6.*","7.*","10.*"]}`. The other cases are about messages that
//! are too long here, and compression. `wstest` is autobahntestsuite 0.8.2 for Python 2.7; installed
//! with `pip --target`, its folder wants `site.addsitedir`.
//!
//! Expected: all OK but 6.4.3 and 6.4.4, NON-STRICT: a frame's text is judged once the frame is whole.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use gateway::http;
use gateway::ws::{self, Incoming, handshake};

/// Where it listens unless the first argument says otherwise.
const DEFAULT_ADDRESS: &str = "127.0.0.1:9001";
/// What one read takes at most, in bytes.
const READ_BYTES: usize = 16 * 1024;
/// How long a closed connection is read on, so that the kernel does not reset it.
const LINGER: Duration = Duration::from_secs(1);

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| DEFAULT_ADDRESS.to_owned());
    let listener = TcpListener::bind(&address)?;
    println!("ws_echo: listening on {address}");
    for stream in listener.incoming() {
        let stream = stream?;
        std::thread::spawn(move || {
            if let Err(error) = serve(stream) {
                eprintln!("ws_echo: {error}");
            }
        });
    }
    Ok(())
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if let Some(upgraded) = upgrade(&mut stream)? {
        echo(&mut stream, ws::Connection::new(upgraded))?;
    }
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(LINGER))?;
    while stream.read(&mut [0; READ_BYTES]).is_ok_and(|count| count > 0) {}
    Ok(())
}

/// Speaks HTTP until a request opens a WebSocket, or the connection ends.
fn upgrade(stream: &mut TcpStream) -> io::Result<Option<http::Upgraded>> {
    let mut connection = http::Connection::new();
    loop {
        match connection.next_request() {
            Ok(Some(request)) => {
                let slot = request.slot;
                match handshake::accept(&request) {
                    Ok(answer) => connection.upgrade(slot, &answer),
                    Err(error) => {
                        connection.complete(slot, |out| {
                            let framing = http::response::Framing::CLOSE;
                            let headers = handshake::REQUIRED_HEADERS;
                            let text = error.to_string();
                            http::response::write(
                                out,
                                426,
                                "text/plain",
                                headers,
                                framing,
                                |out| {
                                    out.extend_from_slice(text.as_bytes());
                                },
                            );
                        });
                        connection.stop();
                    }
                }
            }
            Ok(None) => {
                let count = stream.read(connection.spare())?;
                connection.advance(count);
                if count == 0 {
                    return Ok(None);
                }
            }
            Err(_) => return Ok(None),
        }
        if let Some(upgraded) = connection.take_upgraded() {
            return Ok(Some(upgraded));
        }
        if connection.outstanding() == 0 && !connection.wants_input() {
            stream.write_all(connection.output())?;
            return Ok(None);
        }
    }
}

fn echo(stream: &mut TcpStream, mut connection: ws::Connection) -> io::Result<()> {
    let mut received = vec![0; READ_BYTES];
    let mut pending = 0..0;
    loop {
        while let Some(message) = connection.next_message() {
            let sent = match message {
                Incoming::Text(text) => connection.send_text(&text),
                Incoming::Binary(bytes) => connection.send_binary(&bytes),
                Incoming::Closed(_) => Ok(()),
            };
            // Each message is written before the next one is read, so no output piles up.
            if sent.is_err() {
                break;
            }
            flush(stream, &mut connection)?;
        }
        flush(stream, &mut connection)?;
        if connection.is_finished() {
            return Ok(());
        }
        if pending.is_empty() {
            let count = stream.read(&mut received)?;
            pending = 0..count;
            if count == 0 {
                connection.end_of_input();
                continue;
            }
        }
        pending.start += connection.feed(&received[pending.clone()]);
    }
}

fn flush(stream: &mut TcpStream, connection: &mut ws::Connection) -> io::Result<()> {
    while connection.output_len() > 0 {
        let count = stream.write(connection.output())?;
        connection.advance_output(count);
    }
    Ok(())
}
