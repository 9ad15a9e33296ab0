//! The head of a request: request line and headers.
//!
//! httparse reads the grammar; what it tolerates and a proxy might read in another way is refused
//! here: bare CR or LF, two framings of one body, a framing given twice, codings other than
//! `chunked`, a missing or second Host, or one beside a target that names another.

use std::mem::MaybeUninit;

use super::limits::{MAX_BODY_BYTES, MAX_CONTENT_LENGTH_DIGITS, MAX_HEAD_BYTES, MAX_HEADERS};
use super::request::{Method, Persistence, RejectionReason};

/// A part of the head, by place, so that it can be kept while the buffer moves.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn of(part: &[u8], whole: &[u8]) -> Span {
        let start = part.as_ptr().addr() - whole.as_ptr().addr();
        Span { start: start as u32, end: (start + part.len()) as u32 }
    }

    fn is_not(&self, text: &str, whole: &[u8]) -> bool {
        !self.bytes(whole).eq_ignore_ascii_case(text.as_bytes())
    }

    pub fn bytes<'a>(&self, whole: &'a [u8]) -> &'a [u8] {
        &whole[self.start as usize..self.end as usize]
    }
}

/// How the body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// This many bytes.
    Length(usize),
    /// Chunks.
    Chunked,
}

/// What a head says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub length: usize,
    pub method: Method,
    pub path: Span,
    pub query: Span,
    pub persistence: Persistence,
    pub framing: Framing,
    pub expects_continue: bool,
    pub user_id: Option<Span>,
    pub admin_token: Option<Span>,
    pub authorization: Option<Span>,
    pub api_key: Option<Span>,
    pub timestamp: Option<Span>,
    pub signature: Option<Span>,
    pub prefers_wait: bool,
}

/// Reads a head from the beginning of `bytes`; `None` when its end is not there yet.
pub(super) fn parse_head(bytes: &[u8]) -> Result<Option<Head>, RejectionReason> {
    // What lies beyond the limit may not be here yet, so it has no say in why a head is refused.
    let bytes = &bytes[..bytes.len().min(MAX_HEAD_BYTES)];
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut []);
    let length = match request.parse_with_uninit_headers(bytes, &mut headers) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD_BYTES => return Ok(None),
        Ok(httparse::Status::Partial) => return Err(RejectionReason::HeadTooLarge),
        Err(error) => return Err(reason_of(error)),
    };
    let whole = &bytes[..length];
    if has_bare_line_end(whole) {
        return Err(RejectionReason::Malformed("lines must end in CR LF"));
    }
    let (Some(method), Some(target), Some(version)) =
        (request.method, request.path, request.version)
    else {
        return Err(RejectionReason::Malformed("request line is incomplete"));
    };
    let mut fields = Fields::new(version == 1);
    for header in request.headers.iter() {
        fields.take(header.name, header.value, whole)?;
    }
    let method = Method::parse(method);
    let (authority, path, query) = split_target(method, target)?;
    if authority
        .is_some_and(|authority| fields.host.is_some_and(|host| host.is_not(authority, whole)))
    {
        return Err(RejectionReason::Header("Host", "differs from the request target's"));
    }
    Ok(Some(Head {
        length,
        method,
        path: Span::of(path.as_bytes(), whole),
        query: query.map_or(Span::default(), |query| Span::of(query.as_bytes(), whole)),
        persistence: fields.persistence(),
        framing: fields.framing()?,
        expects_continue: fields.expects_continue,
        user_id: fields.user_id,
        admin_token: fields.admin_token,
        authorization: fields.authorization,
        api_key: fields.api_key,
        timestamp: fields.timestamp,
        signature: fields.signature,
        prefers_wait: fields.prefers_wait,
    }))
}

fn reason_of(error: httparse::Error) -> RejectionReason {
    match error {
        httparse::Error::TooManyHeaders => RejectionReason::TooManyHeaders,
        httparse::Error::Version => RejectionReason::Version,
        httparse::Error::HeaderName => RejectionReason::Malformed("a header name is malformed"),
        httparse::Error::HeaderValue => RejectionReason::Malformed("a header value is malformed"),
        httparse::Error::NewLine => RejectionReason::Malformed("lines must end in CR LF"),
        httparse::Error::Token => RejectionReason::Malformed("request line is malformed"),
        _ => RejectionReason::Malformed("is not HTTP"),
    }
}

/// Whether any CR or LF stands without the other. Without an early exit, so that it is vectorized.
fn has_bare_line_end(head: &[u8]) -> bool {
    let mut bare = head.first() == Some(&b'\n') || head.last() == Some(&b'\r');
    for (&left, &right) in head.iter().zip(&head[1..]) {
        bare |= (left == b'\r') != (right == b'\n');
    }
    bare
}

/// Authority, path and query of a request target in origin-form or absolute-form.
type Target<'a> = (Option<&'a str>, &'a str, Option<&'a str>);

fn split_target(method: Method, target: &str) -> Result<Target<'_>, RejectionReason> {
    const BAD: RejectionReason = RejectionReason::Malformed("request target is malformed");
    if !target.is_ascii() || target.contains('#') {
        return Err(BAD);
    }
    if target == "*" && method == Method::Options {
        return Ok((None, target, None));
    }
    let (authority, origin_form) = if target.starts_with('/') {
        (None, target)
    } else {
        let rest = ["http://", "https://"]
            .iter()
            .find_map(|scheme| {
                let (head, rest) = target.split_at_checked(scheme.len())?;
                head.eq_ignore_ascii_case(scheme).then_some(rest)
            })
            .ok_or(BAD)?;
        match rest.find(['/', '?']) {
            Some(at) if rest.as_bytes()[at] == b'/' => (Some(&rest[..at]), &rest[at..]),
            // An absolute form may leave the path out; the query then has nowhere to hang.
            Some(_) => return Err(BAD),
            None => return Ok((Some(rest), &target[..0], None)),
        }
    };
    match origin_form.split_once('?') {
        Some((path, query)) => Ok((authority, path, Some(query))),
        None => Ok((authority, origin_form, None)),
    }
}

/// What the headers say, taken one by one.
struct Fields {
    is_http_1_1: bool,
    host: Option<Span>,
    content_length: Option<usize>,
    is_chunked: bool,
    asks_close: bool,
    asks_keep_alive: bool,
    expects_continue: bool,
    user_id: Option<Span>,
    admin_token: Option<Span>,
    authorization: Option<Span>,
    api_key: Option<Span>,
    timestamp: Option<Span>,
    signature: Option<Span>,
    prefers_wait: bool,
}

impl Fields {
    fn new(is_http_1_1: bool) -> Fields {
        Fields {
            is_http_1_1,
            host: None,
            content_length: None,
            is_chunked: false,
            asks_close: false,
            asks_keep_alive: false,
            expects_continue: false,
            user_id: None,
            admin_token: None,
            authorization: None,
            api_key: None,
            timestamp: None,
            signature: None,
            prefers_wait: false,
        }
    }

    /// Looks at one header. The length of the name decides first: most headers are of no interest.
    fn take(&mut self, name: &str, value: &[u8], whole: &[u8]) -> Result<(), RejectionReason> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match name.len() {
            4 if is("host") => span_once(&mut self.host, "Host", value, whole)?,
            6 if is("expect") => self.take_expect(value)?,
            6 if is("prefer") => {
                self.prefers_wait |= tokens(value).any(|token| {
                    let end = token.iter().position(|byte| b"=;".contains(byte));
                    let name = token[..end.unwrap_or(token.len())].trim_ascii();
                    name.eq_ignore_ascii_case(b"wait")
                });
            }
            9 if is("x-user-id") => span_once(&mut self.user_id, "X-User-ID", value, whole)?,
            9 if is("x-api-key") => span_once(&mut self.api_key, "X-API-KEY", value, whole)?,
            10 if is("connection") => {
                for token in tokens(value) {
                    self.asks_close |= token.eq_ignore_ascii_case(b"close");
                    self.asks_keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            11 if is("x-signature") => {
                span_once(&mut self.signature, "X-SIGNATURE", value, whole)?;
            }
            11 if is("x-timestamp") => {
                span_once(&mut self.timestamp, "X-TIMESTAMP", value, whole)?;
            }
            13 if is("authorization") => {
                span_once(&mut self.authorization, "Authorization", value, whole)?;
            }
            13 if is("x-admin-token") => {
                span_once(&mut self.admin_token, "X-Admin-Token", value, whole)?;
            }
            14 if is("content-length") => self.take_content_length(value)?,
            17 if is("transfer-encoding") => self.take_transfer_encoding(value)?,
            _ => {}
        }
        Ok(())
    }

    fn take_expect(&mut self, value: &[u8]) -> Result<(), RejectionReason> {
        if !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(RejectionReason::Expectation);
        }
        // HTTP/1.0 knows no interim answers; the expectation is ignored there.
        self.expects_continue = self.is_http_1_1;
        Ok(())
    }

    fn take_content_length(&mut self, value: &[u8]) -> Result<(), RejectionReason> {
        const NAME: &str = "Content-Length";
        if self.content_length.is_some() {
            return Err(RejectionReason::Header(NAME, "is given twice"));
        }
        if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Err(RejectionReason::Header(NAME, "is not a number"));
        }
        if value.len() > MAX_CONTENT_LENGTH_DIGITS {
            return Err(RejectionReason::BodyTooLarge);
        }
        let length = value.iter().fold(0u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        // The size is judged after all headers: two framings are the graver fault.
        self.content_length = Some(usize::try_from(length).unwrap_or(usize::MAX));
        Ok(())
    }

    fn take_transfer_encoding(&mut self, value: &[u8]) -> Result<(), RejectionReason> {
        const NAME: &str = "Transfer-Encoding";
        if !self.is_http_1_1 {
            return Err(RejectionReason::Header(NAME, "is unknown to HTTP/1.0"));
        }
        if !value.eq_ignore_ascii_case(b"chunked") {
            return Err(RejectionReason::Header(NAME, "only chunked is known"));
        }
        once(&mut self.is_chunked, NAME)
    }

    fn framing(&self) -> Result<Framing, RejectionReason> {
        if self.is_http_1_1 && self.host.is_none() {
            return Err(RejectionReason::Header("Host", "is missing"));
        }
        match (self.is_chunked, self.content_length) {
            (true, Some(_)) => Err(RejectionReason::Header(
                "Content-Length",
                "cannot stand beside Transfer-Encoding",
            )),
            (true, None) => Ok(Framing::Chunked),
            (false, Some(length)) if length > MAX_BODY_BYTES => Err(RejectionReason::BodyTooLarge),
            (false, length) => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }

    fn persistence(&self) -> Persistence {
        match (self.is_http_1_1, self.asks_close, self.asks_keep_alive) {
            (_, true, _) | (false, _, false) => Persistence::Close,
            (false, _, true) => Persistence::KeepAliveTold,
            (true, ..) => Persistence::KeepAlive,
        }
    }
}

fn once(seen: &mut bool, name: &'static str) -> Result<(), RejectionReason> {
    if std::mem::replace(seen, true) {
        return Err(RejectionReason::Header(name, "is given twice"));
    }
    Ok(())
}

fn span_once(
    seen: &mut Option<Span>,
    name: &'static str,
    value: &[u8],
    whole: &[u8],
) -> Result<(), RejectionReason> {
    // A proxy that takes the first and a server that takes the last would see two users.
    if seen.replace(Span::of(value, whole)).is_some() {
        return Err(RejectionReason::Header(name, "is given twice"));
    }
    Ok(())
}

fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}
