//! A connection on which anything may be said.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

use super::http::{Answer, connect, read_answer};

/// One connection.
pub struct Raw {
    stream: TcpStream,
    pending: Vec<u8>,
}

impl Raw {
    /// Connects.
    pub fn open(port: u16) -> Raw {
        let stream = connect(port).unwrap_or_else(|error| panic!("cannot connect: {error}"));
        Raw { stream, pending: Vec::new() }
    }

    /// Goes on with a connection that somebody has begun.
    pub fn over(stream: TcpStream) -> Raw {
        Raw { stream, pending: Vec::new() }
    }

    /// Sends. The server may have closed already, so an error is none of the test's.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Raw {
        let _ = self.stream.write_all(bytes.as_ref());
        self
    }

    /// Says that nothing more comes.
    pub fn finish(&mut self) -> &mut Raw {
        let _ = self.stream.shutdown(Shutdown::Write);
        self
    }

    /// The next answer.
    #[track_caller]
    pub fn answer(&mut self) -> Answer {
        self.read(false).unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    /// The next answer, which has no body whatever its headers say.
    #[track_caller]
    pub fn answer_to_head(&mut self) -> Answer {
        self.read(true).unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    /// The next answer, or why there is none.
    pub fn try_answer(&mut self) -> io::Result<Answer> {
        self.read(false)
    }

    /// Ends the connection, also for its other sender.
    pub fn shut(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Bytes that are no HTTP any more: at least one, or none at the end.
    pub fn bytes(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.pending);
        if bytes.is_empty() {
            bytes.resize(4096, 0);
            let count = self.stream.read(&mut bytes).unwrap_or(0);
            bytes.truncate(count);
        }
        bytes
    }

    fn read(&mut self, to_head: bool) -> io::Result<Answer> {
        read_answer(&mut self.stream, &mut self.pending, to_head)
    }

    /// All answers up to the end of the connection.
    pub fn answers_to_end(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        loop {
            match self.read(false) {
                Ok(answer) => answers.push(answer),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return answers,
                Err(error) => panic!("after {} answers: {error}", answers.len()),
            }
        }
    }

    /// Panics unless the server closes the connection without another byte.
    #[track_caller]
    pub fn expect_closed(&mut self) {
        let mut rest = std::mem::take(&mut self.pending);
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the connection is still open: {error}"),
        }
        let text = String::from_utf8_lossy(&rest);
        assert!(rest.is_empty(), "more bytes before the connection was closed: {text}");
    }
}

/// A request of the user 1001 as it goes over the wire.
pub fn request(method: &str, path: &str, extra: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nX-User-ID: 1001\r\n{extra}\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

/// The sending half of a connection, for another thread.
pub struct Sender {
    stream: TcpStream,
}

impl Sender {
    /// Sends, as [`Raw::send`].
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }
}

impl Raw {
    /// Another sender on the same connection.
    pub fn writer(&self) -> Sender {
        Sender { stream: self.stream.try_clone().expect("a second handle") }
    }
}
