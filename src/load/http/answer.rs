//! Takes answers apart: status and body of each, as they lie one behind the other in what was read.

use serde::Deserialize;

use crate::load::recorder::ErrorAnswer;

/// Most headers of an answer; ringbook sends three.
const MAX_HEADERS: usize = 32;
/// Longest head, and longest body: what is longer is none of ringbook's.
const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_BODY_BYTES: usize = 16 << 20;

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: &'a [u8],
    /// Bytes of the whole answer.
    pub length: usize,
}

/// Not an answer.
#[derive(Debug, thiserror::Error)]
#[error("an answer is not HTTP with a content-length: {0}")]
pub struct Malformed(&'static str);

/// The first answer in `input`, or nothing when it is not complete yet.
pub fn first(input: &[u8]) -> Result<Option<Answer<'_>>, Malformed> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(input) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) if input.len() > MAX_HEAD_BYTES => {
            return Err(Malformed("its head is too long"));
        }
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Malformed("its head is not understood")),
    };
    let status = response.code.ok_or(Malformed("it has no status"))?;
    let length = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| std::str::from_utf8(header.value).ok()?.parse::<usize>().ok())
        .ok_or(Malformed("its length is not known"))?;
    if length > MAX_BODY_BYTES {
        return Err(Malformed("its body is too long"));
    }
    let length = head + length;
    Ok(input.get(head..length).map(|body| Answer { status, body, length }))
}

impl Answer<'_> {
    /// Which error it tells, and in which words.
    pub fn error(&self) -> (ErrorAnswer, String) {
        #[derive(Deserialize)]
        struct Envelope {
            code: u32,
            msg: String,
        }
        match serde_json::from_slice(self.body) {
            Ok(Envelope { code, msg }) => (ErrorAnswer { status: self.status, code }, msg),
            Err(_) => {
                let text = String::from_utf8_lossy(self.body).into_owned();
                (ErrorAnswer { status: self.status, code: 0 }, text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[u8] = b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

    #[test]
    fn answers_lie_one_behind_the_other() {
        let one = first(TWO).unwrap().unwrap();
        assert_eq!((one.status, one.body), (202, b"{}".as_slice()));
        let two = first(&TWO[one.length..]).unwrap().unwrap();
        assert_eq!((two.status, two.body), (404, b"".as_slice()));
        assert_eq!(one.length + two.length, TWO.len());
    }

    #[test]
    fn an_answer_is_none_before_its_last_byte() {
        let length = first(TWO).unwrap().unwrap().length;
        for end in 0..length {
            assert_eq!(first(&TWO[..end]).unwrap(), None, "{end}");
        }
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for bad in [
            b"SSH-2.0-OpenSSH_9\r\n\r\n".as_slice(),
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
        ] {
            assert!(first(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
        assert!(first(&[b"HTTP/1.1 200 OK\r\na: ".as_slice(), &[b'a'; 20_000]].concat()).is_err());
    }

    #[test]
    fn the_code_of_an_error_is_read_and_any_other_body_is_its_own_message() {
        let error = |body| Answer { status: 409, body, length: 0 }.error();
        let (answer, message) = error(br#"{"code":4002,"msg":"ORDER_NOT_OPEN","data":null}"#);
        assert_eq!((answer.code, message.as_str()), (4002, "ORDER_NOT_OPEN"));
        assert_eq!(error(b"no").0, ErrorAnswer { status: 409, code: 0 });
    }
}
