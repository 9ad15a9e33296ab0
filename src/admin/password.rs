//! A password that is read, and seen by nobody: at a terminal without echo, else a line of stdin.

use std::io::{BufRead, IsTerminal, Write};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

use super::failure::Failure;

/// Longest line that is read; the server's own bound is below.
const MAX_BYTES: usize = 1024;

// What keys send while the terminal leaves them to us.
const INTERRUPT: u8 = 3;
const END: u8 = 4;
const BACKSPACES: [u8; 2] = [8, 127];
const ERASE_LINE: u8 = 21;

/// Asks for a new password, at a terminal twice.
pub fn ask() -> Result<String, Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return first_line(stdin.lock());
    }
    let once = prompt("new password: ")?;
    match prompt("the same again: ")? == once {
        true => Ok(once),
        false => Err(Failure::usage("password: the two are not the same; nothing was changed")),
    }
}

fn first_line(input: impl BufRead) -> Result<String, Failure> {
    let mut line = Vec::new();
    let read = input.take(MAX_BYTES as u64 + 1).read_until(b'\n', &mut line);
    read.map_err(|error| Failure::usage(format!("password: stdin cannot be read: {error}")))?;
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    checked(line)
}

fn checked(line: Vec<u8>) -> Result<String, Failure> {
    if line.is_empty() || line.len() > MAX_BYTES {
        let rule = format!("password: must be a line of 1 to {MAX_BYTES} bytes on stdin");
        return Err(Failure::usage(rule));
    }
    String::from_utf8(line).map_err(|_| Failure::usage("password: must be UTF-8"))
}

/// A terminal that shows nothing and sends each key, until it is dropped.
struct Silenced {
    before: Termios,
}

impl Silenced {
    fn begin() -> nix::Result<Silenced> {
        let before = tcgetattr(std::io::stdin())?;
        let mut silent = before.clone();
        // Ctrl-C too is ours: whom it ended would leave a terminal without echo behind.
        silent.local_flags -= LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG;
        tcsetattr(std::io::stdin(), SetArg::TCSAFLUSH, &silent)?;
        Ok(Silenced { before })
    }
}

impl Drop for Silenced {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), SetArg::TCSAFLUSH, &self.before);
    }
}

fn prompt(title: &str) -> Result<String, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::usage(format!("password: {error}"));
    // Silent first, so that nobody who sees the prompt types too early.
    let silenced = Silenced::begin().map_err(|error| failed(&error))?;
    let mut stderr = std::io::stderr();
    let _ = write!(stderr, "{title}").and_then(|()| stderr.flush());
    let line = type_in(std::io::stdin().lock());
    drop(silenced);
    let _ = writeln!(stderr);
    line.and_then(checked)
}

fn type_in(input: impl BufRead) -> Result<Vec<u8>, Failure> {
    let mut line = Vec::new();
    for byte in input.bytes() {
        match byte.map_err(|error| Failure::usage(format!("password: {error}")))? {
            b'\n' | b'\r' => return Ok(line),
            INTERRUPT | END => break,
            ERASE_LINE => line.clear(),
            byte if BACKSPACES.contains(&byte) => {
                // All bytes of the last letter.
                while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            }
            byte if line.len() <= MAX_BYTES => line.push(byte),
            _ => {}
        }
    }
    Err(Failure::usage("password: none was given; nothing was changed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_its_end_is_the_password() {
        let read = |mut text: &[u8]| first_line(&mut text);
        assert_eq!(read(b"two words\nmore\n").unwrap(), "two words");
        assert_eq!(read(b"dos\r\n").unwrap(), "dos");
        assert_eq!(read(b" spaces count ").unwrap(), " spaces count ");
        for bad in [&b""[..], b"\n", &[b'a'; 2_000], b"\xff\n"] {
            assert!(read(bad).is_err());
        }
    }

    #[test]
    fn keys_mend_what_was_typed_or_end_it() {
        let typed =
            |mut keys: &[u8]| type_in(&mut keys).map(|line| String::from_utf8(line).unwrap());
        assert_eq!(typed(b"abx\x7fc\r").unwrap(), "abc");
        assert_eq!(typed("aü\x08b\n".as_bytes()).unwrap(), "ab");
        assert_eq!(typed(b"\x7fwrong\x15right\n").unwrap(), "right");
        for ended in [&b"abc\x03"[..], b"abc\x04", b"abc"] {
            assert!(typed(ended).is_err());
        }
    }
}
