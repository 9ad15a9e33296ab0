//! A small blocking HTTP/1.1 client: one connection, kept alive, requests pipelined, over TLS if need be.
//!
//! It speaks to ringbook, so it knows what ringbook sends: a status line, a few headers and a body
//! with a `Content-Length`.

mod tls;

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use self::tls::TlsStream;
pub use self::tls::Trust;

/// How long to wait for a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long to wait for an answer. A server that takes longer is not slow but stuck.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// Longest head of an answer.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Longest body of an answer: a page of rows is far below.
const MAX_BODY_BYTES: usize = 64 << 20;
const READ_BYTES: usize = 64 * 1024;

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `host:port`, also the `Host` header.
    pub authority: String,
}

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

impl Endpoint {
    /// Reads `http://host:port`, with or without a slash behind it.
    pub fn parse(url: &str) -> Result<Endpoint> {
        match Endpoint::parse_either(url)? {
            (Scheme::Http, endpoint) => Ok(endpoint),
            (Scheme::Https, _) => {
                bail!("url: {url:?} must begin with http:// (there is no TLS here)")
            }
        }
    }

    /// Reads `http://host:port` or `https://host:port`, with or without a slash behind it.
    pub fn parse_either(url: &str) -> Result<(Scheme, Endpoint)> {
        let (scheme, rest, default_port) =
            match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
                (Some(rest), _) => (Scheme::Http, rest, 80),
                (None, Some(rest)) => (Scheme::Https, rest, 443),
                (None, None) => bail!("url: {url:?} must begin with http:// or https://"),
            };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let is_plain = |letter: char| !"/?#@ ".contains(letter) && !letter.is_control();
        ensure!(
            !authority.is_empty() && authority.chars().all(is_plain),
            "url: {url:?} must be http://host:port and nothing behind it"
        );
        let has_port =
            authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = match has_port {
            true => authority.to_owned(),
            false => format!("{authority}:{default_port}"),
        };
        Ok((scheme, Endpoint { authority }))
    }

    /// The host alone, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        let host = self.authority.rsplit_once(':').map_or(&*self.authority, |(host, _)| host);
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Whole seconds of a `Retry-After`.
    pub retry_after_s: Option<u64>,
    /// The body.
    pub body: Vec<u8>,
}

enum Stream {
    Plain(TcpStream),
    Secure(Box<TlsStream>),
}

/// An open connection.
pub struct Connection {
    stream: Stream,
    /// Requests that are not handed to the kernel yet.
    output: Vec<u8>,
    input: Vec<u8>,
    /// Bytes of `input` that belong to answers that were taken.
    taken: usize,
}

impl Connection {
    /// Connects.
    pub fn open(endpoint: &Endpoint) -> io::Result<Connection> {
        reach(endpoint).map(|stream| Connection::over(Stream::Plain(stream)))
    }

    /// Connects with TLS; the server must show a certificate for the endpoint's host that `trust` leads to.
    pub fn open_secure(endpoint: &Endpoint, trust: &Trust) -> io::Result<Connection> {
        let stream = trust.handshake(endpoint.host(), reach(endpoint)?)?;
        Ok(Connection::over(Stream::Secure(Box::new(stream))))
    }

    fn over(stream: Stream) -> Connection {
        Connection { stream, output: Vec::new(), input: Vec::new(), taken: 0 }
    }

    /// The requests to come go behind these bytes.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// The answer to the oldest request without one.
    pub fn receive(&mut self) -> io::Result<Response> {
        if !self.output.is_empty() {
            match &mut self.stream {
                Stream::Plain(stream) => stream.write_all(&self.output)?,
                Stream::Secure(stream) => stream.write_all(&self.output)?,
            }
            self.output.clear();
        }
        let head_bytes = loop {
            if let Some(at) = find(&self.input[self.taken..], b"\r\n\r\n") {
                break at + 4;
            }
            if self.input.len() - self.taken > MAX_HEAD_BYTES {
                return Err(malformed("its head is too long"));
            }
            self.fill()?;
        };
        let head = std::str::from_utf8(&self.input[self.taken..self.taken + head_bytes])
            .map_err(|_| malformed("its head is no text"))?;
        let head = Head::parse(head).ok_or_else(|| malformed("its head is not understood"))?;
        if head.length_bytes > MAX_BODY_BYTES {
            return Err(malformed("its body is too long"));
        }
        let end_bytes = head_bytes + head.length_bytes;
        while self.input.len() - self.taken < end_bytes {
            self.fill()?;
        }
        let body = self.input[self.taken + head_bytes..self.taken + end_bytes].to_vec();
        self.taken += end_bytes;
        if self.taken == self.input.len() {
            self.input.clear();
            self.taken = 0;
        }
        Ok(Response { status: head.status, retry_after_s: head.retry_after_s, body })
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.taken > READ_BYTES {
            self.input.drain(..self.taken);
            self.taken = 0;
        }
        let length = self.input.len();
        self.input.resize(length + READ_BYTES, 0);
        let read = match &mut self.stream {
            Stream::Plain(stream) => stream.read(&mut self.input[length..]),
            Stream::Secure(stream) => stream.read(&mut self.input[length..]),
        };
        self.input.truncate(length + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// The first address of the endpoint that answers.
fn reach(endpoint: &Endpoint) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in endpoint.authority.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_LIMIT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(ANSWER_LIMIT))?;
                stream.set_write_timeout(Some(ANSWER_LIMIT))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Whether the server may be back later, as opposed to being stuck or speaking something else.
pub fn is_loss(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::UnexpectedEof
            | Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::BrokenPipe
            | Kind::NotConnected
    )
}

fn malformed(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("an answer is not HTTP: {why}"))
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    length_bytes: usize,
    retry_after_s: Option<u64>,
}

impl Head {
    fn parse(text: &str) -> Option<Head> {
        let mut lines = text.split("\r\n");
        let mut words = lines.next()?.split(' ');
        if !words.next()?.starts_with("HTTP/1.") {
            return None;
        }
        let mut head =
            Head { status: words.next()?.parse().ok()?, length_bytes: 0, retry_after_s: None };
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':')?;
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                head.length_bytes = value.parse().ok()?;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                return None;
            } else if name.eq_ignore_ascii_case("retry-after") {
                head.retry_after_s = value.parse().ok();
            }
        }
        Some(head)
    }
}

/// Appends `text` so that it can stand in a query.
pub fn push_encoded(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte);
        } else {
            out.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

/// Connects, trying again with growing pauses while `limit` lasts.
pub fn open_patiently(endpoint: &Endpoint, limit: Duration) -> Result<Connection> {
    const FIRST_PAUSE: Duration = Duration::from_millis(20);
    const LONGEST_PAUSE: Duration = Duration::from_millis(500);
    let begin = std::time::Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        match Connection::open(endpoint) {
            Ok(connection) => return Ok(connection),
            Err(error) if begin.elapsed() + pause > limit => {
                return Err(error).with_context(|| {
                    format!("cannot reach {} within {} s", endpoint.authority, limit.as_secs())
                });
            }
            Err(_) => std::thread::sleep(pause),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn urls_are_read() {
        let authority = |url| Endpoint::parse(url).map(|endpoint| endpoint.authority).ok();
        assert_eq!(authority("http://127.0.0.1:8080").as_deref(), Some("127.0.0.1:8080"));
        assert_eq!(authority("http://[::1]:8080/").as_deref(), Some("[::1]:8080"));
        assert_eq!(authority("http://exchange").as_deref(), Some("exchange:80"));
        for bad in ["https://a:1", "a:1", "http://", "http://a:1/api", "http://u@a:1", "http://a\r"]
        {
            assert_eq!(authority(bad), None, "{bad}");
        }
        let (scheme, endpoint) = Endpoint::parse_either("https://[::1]/").unwrap();
        assert_eq!((scheme, &*endpoint.authority), (Scheme::Https, "[::1]:443"));
        assert_eq!(endpoint.host(), "::1");
    }

    #[test]
    fn heads_are_read() {
        let head = Head::parse(
            "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\ncontent-length: 12\r\n\r\n",
        );
        assert_eq!(head, Some(Head { status: 503, length_bytes: 12, retry_after_s: Some(1) }));
        assert_eq!(Head::parse("SSH-2.0-OpenSSH_9\r\n\r\n"), None);
    }

    #[test]
    fn answers_that_arrive_in_pieces_are_put_together() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4];
            stream.read_exact(&mut request).unwrap();
            for piece in [
                "HTTP/1.1 200 O",
                "K\r\ncontent-length: 5\r\n\r\nhel",
                "loHTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n",
            ] {
                stream.write_all(piece.as_bytes()).unwrap();
                std::thread::sleep(Duration::from_millis(5));
            }
            request
        });
        let mut connection = Connection::open(&Endpoint { authority }).unwrap();
        connection.output().extend_from_slice(b"abcd");
        let first = connection.receive().unwrap();
        assert_eq!((first.status, first.body.as_slice()), (200, b"hello".as_slice()));
        assert_eq!(connection.receive().unwrap().status, 404);
        assert_eq!(&server.join().unwrap(), b"abcd");
        assert!(is_loss(&connection.receive().unwrap_err()));
    }

    #[test]
    fn what_means_something_in_a_query_is_encoded() {
        let mut out = Vec::new();
        push_encoded(&mut out, "a-1.2&x=%/#+");
        assert_eq!(String::from_utf8(out).unwrap(), "a-1.2%26x%3D%25%2F%23%2B");
    }
}
