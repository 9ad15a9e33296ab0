//! What is recorded: one act, by whom, from where, with which result.

use std::net::IpAddr;

use money::{Cid, Side};

/// Longest text of a record, in bytes, its [`CUT_MARK`] included.
pub const MAX_TEXT_BYTES: usize = 256;
/// Ends a text that was longer than [`MAX_TEXT_BYTES`].
pub const CUT_MARK: &str = "…";

/// What sort of act it was; each has its own queues, directory and retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Logins, logouts, refused credentials.
    Auth,
    /// Orders placed and cancelled.
    Order,
    /// Acts of administrators.
    Admin,
    /// API keys made and revoked.
    Key,
}

impl Kind {
    /// Every kind, in the order of declaration.
    pub const ALL: [Kind; 4] = [Kind::Auth, Kind::Order, Kind::Admin, Kind::Key];

    /// The word of files and queries.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Auth => "auth",
            Kind::Order => "order",
            Kind::Admin => "admin",
            Kind::Key => "key",
        }
    }

    /// The kind with this word, exactly.
    pub fn parse(text: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// How whoever acted was authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Not at all.
    Nobody,
    /// The development mode believed a header.
    Development,
    /// The administrators' token of the development mode.
    AdminToken,
    /// An API key, by its id.
    Key(u64),
    /// A session, by its id.
    Session(u64),
}

/// What belongs to the act beside its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Nothing.
    None,
    /// An order, as far as the request named it.
    Order {
        /// Its symbol; [`crate::Trail::name_symbol`] gives it a name.
        symbol: Option<u32>,
        /// Its side.
        side: Option<Side>,
        /// Its price, in ticks of the symbol.
        price_ticks: Option<u64>,
        /// Its quantity, in lots of the symbol.
        qty_lots: Option<u64>,
        /// The id that it was given.
        order_id: Option<u64>,
        /// The id that the client gave it.
        cid: Option<Cid>,
    },
    /// The user whom an administrator acted on.
    User(u64),
    /// An API key that was acted on.
    Key {
        /// Its id.
        key: u64,
        /// Its owner.
        user: u64,
    },
    /// Anything else; what is longer than [`MAX_TEXT_BYTES`] is cut when it is written.
    Text(Box<str>),
}

impl Detail {
    /// A text, cut to [`MAX_TEXT_BYTES`] so that a record cannot hold more.
    pub fn text(text: &str) -> Detail {
        let (kept, is_cut) = cut(text, MAX_TEXT_BYTES);
        let mark = if is_cut { CUT_MARK } else { "" };
        Detail::Text(format!("{kept}{mark}").into())
    }
}

/// One act. Made without an allocation, but for [`Detail::Text`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When, in ms since the epoch, by the shard's clock.
    pub at_ms: u64,
    /// What sort of act.
    pub kind: Kind,
    /// Which act, as `order.place` or `auth.login`.
    pub action: &'static str,
    /// Who acted, if that is known.
    pub user: Option<u64>,
    /// How it was authenticated.
    pub actor: Actor,
    /// Where the request came from.
    pub address: Option<IpAddr>,
    /// The dialect of the request: `native`, `rpc`, `desk`.
    pub dialect: &'static str,
    /// The HTTP status of the answer, or its equivalent.
    pub status: u16,
    /// The word of the result: `OK`, `INSUFFICIENT_BALANCE`.
    pub code: &'static str,
    /// What belongs to it.
    pub detail: Detail,
}

// Queues hold tens of thousands of them for each shard.
const _: () = assert!(size_of::<Record>() <= 256);

/// As much of `text` as fits into `limit_bytes` together with the mark, and whether that is less
/// than all of it.
pub(crate) fn cut(text: &str, limit_bytes: usize) -> (&str, bool) {
    if text.len() <= limit_bytes {
        return (text, false);
    }
    let mut end = limit_bytes - CUT_MARK.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    (&text[..end], true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters_and_marked() {
        let Detail::Text(text) = Detail::text(&"ü".repeat(1_000)) else { panic!() };
        assert!(text.len() <= MAX_TEXT_BYTES && text.len() > MAX_TEXT_BYTES - 4);
        assert!(text.ends_with("ü…"), "{text}");
        let fits = "x".repeat(MAX_TEXT_BYTES);
        assert_eq!(Detail::text(&fits), Detail::Text(fits.into()));
    }

    #[test]
    fn kinds_are_read_as_they_are_written() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(Kind::parse("orders"), None);
    }
}
