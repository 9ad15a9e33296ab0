//! What a login or a refresh gives: an access token, and the next refresh token.

use identity::{Change, SessionId, SessionRecord};
use money::UserId;
use ring::digest;

use super::hex::{read_hex, write_hex};
use super::secrets::Secrets;
use super::signature::same;

/// How long a session lives without a refresh, in ms.
pub const REFRESH_TOKEN_LIFE_MS: u64 = 30 * 24 * 60 * 60 * 1_000;
/// Random bytes of a refresh token.
const RANDOM_BYTES: usize = 32;
/// What shows that the server has made it.
const MARK_BYTES: usize = 16;
const TOKEN_BYTES: usize = RANDOM_BYTES + MARK_BYTES;

/// A refresh token: which session, 32 random bytes, and a mark that only the server can make, as hexadecimal
/// digits with a dot behind the session. A session is closed when an old token of it comes again; by the mark
/// who only knows the session cannot close it.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    session: SessionId,
    bytes: [u8; TOKEN_BYTES],
}

impl std::fmt::Debug for RefreshToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "RefreshToken({}, …)", self.session)
    }
}

/// What is kept of a refresh token.
pub fn token_hash(bytes: &[u8]) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, bytes);
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.as_ref());
    hash
}

impl RefreshToken {
    /// Reads a token.
    pub fn parse(text: &str) -> Option<RefreshToken> {
        let (session, bytes) = text.split_once('.')?;
        let session = SessionId::parse(session.as_bytes())?;
        Some(RefreshToken { session, bytes: read_hex(bytes.as_bytes())? })
    }

    /// Its session.
    pub fn session(&self) -> SessionId {
        self.session
    }

    fn new(session: SessionId, secrets: &Secrets, random: impl Fn(&mut [u8])) -> RefreshToken {
        let mut bytes = [0; TOKEN_BYTES];
        random(&mut bytes[..RANDOM_BYTES]);
        let mark = secrets.mark(session, &bytes[..RANDOM_BYTES]);
        bytes[RANDOM_BYTES..].copy_from_slice(&mark[..MARK_BYTES]);
        RefreshToken { session, bytes }
    }

    /// Whether it was made with a secret that the server has.
    pub(crate) fn is_ours(&self, secrets: &Secrets) -> bool {
        let (random, mark) = self.bytes.split_at(RANDOM_BYTES);
        secrets.marks(self.session, random).any(|wanted| same(&wanted[..MARK_BYTES], mark))
    }

    fn hash(&self) -> [u8; 32] {
        token_hash(&self.bytes)
    }

    /// Appends it as text.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.session.to_string().as_bytes());
        out.push(b'.');
        write_hex(out, &self.bytes);
    }
}

/// What a client will be given once the session is open on every shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The token for the next refresh.
    pub refresh: RefreshToken,
    /// When it was asked for, in ms since the epoch.
    pub now_ms: u64,
}

impl Grant {
    /// Of a login. `random` fills with random bytes.
    pub fn of_login(
        user: UserId,
        now_ms: u64,
        secrets: &Secrets,
        random: impl Fn(&mut [u8]),
    ) -> (Grant, Change) {
        let mut id = [0; 8];
        random(&mut id);
        let session = SessionId(u64::from_be_bytes(id));
        let refresh = RefreshToken::new(session, secrets, random);
        let record = SessionRecord {
            session,
            user,
            token_hash: refresh.hash(),
            opened_ms: now_ms,
            expires_ms: now_ms + REFRESH_TOKEN_LIFE_MS,
        };
        (Grant { refresh, now_ms }, Change::OpenSession(record))
    }

    /// Of a refresh with the token that is good now.
    pub fn of_refresh(
        old: &RefreshToken,
        now_ms: u64,
        secrets: &Secrets,
        random: impl Fn(&mut [u8]),
    ) -> (Grant, Change) {
        let refresh = RefreshToken::new(old.session, secrets, random);
        let change = Change::RotateSession {
            session: old.session,
            old_hash: old.hash(),
            new_hash: refresh.hash(),
            at_ms: now_ms,
            expires_ms: now_ms + REFRESH_TOKEN_LIFE_MS,
        };
        (Grant { refresh, now_ms }, change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Secret;

    #[test]
    fn a_refresh_token_is_read_as_it_is_written_and_never_printed() {
        let secrets = Secrets::new(&[Secret::from_bytes([7; 32])]);
        let (grant, change) = Grant::of_login(UserId(1), 5, &secrets, |bytes| bytes.fill(0xab));
        let mut text = Vec::new();
        grant.refresh.write(&mut text);
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with(&format!("{}.{}", "ab".repeat(8), "ab".repeat(32))));
        assert_eq!(RefreshToken::parse(&text).as_ref(), Some(&grant.refresh));
        assert!(!format!("{grant:?}").contains(&"ab".repeat(32)));
        let Change::OpenSession(record) = change else { panic!("{change:?}") };
        assert_eq!(record.token_hash, token_hash(&grant.refresh.bytes));
        for bad in ["", ".", "abab", &text[1..], &text[..text.len() - 1]] {
            assert_eq!(RefreshToken::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_token_that_somebody_made_up_for_a_known_session_is_not_ours() {
        let [old, new] = [[1; 32], [2; 32]].map(|bytes| Secrets::new(&[Secret::from_bytes(bytes)]));
        let (grant, _) = Grant::of_login(UserId(1), 5, &old, |bytes| bytes.fill(0xab));
        assert!(grant.refresh.is_ours(&old));
        assert!(!grant.refresh.is_ours(&new));
        let other = RefreshToken { session: SessionId(5), ..grant.refresh.clone() };
        assert!(!other.is_ours(&old), "of another session");
        let mut forged = grant.refresh;
        forged.bytes[0] ^= 1;
        assert!(!forged.is_ours(&old));
    }
}
