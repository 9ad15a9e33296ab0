//! Signed requests: what is signed, and how a signature is judged.
//!
//! Signed is `timestamp + METHOD + path-with-query + body`, with HMAC-SHA256 or Ed25519. What is left for
//! the shard that is home to the user, which alone can tell: whether this signature was used before. For
//! that it is given a [`Seal`].

use identity::{KeyId, KeyKind, KeyRecord, Permissions, Role};
use money::UserId;
use ring::{hmac, signature};

use super::caller::{Caller, Means};
use super::error::AuthError;
use super::hex::read_hex;
use super::{Auth, Judge};

/// How far a timestamp may be behind the server's clock, in ms.
pub const SIGNATURE_WINDOW_MS: u64 = 5_000;
/// How far it may be ahead of it, in ms. Also how long after its last record a server that was killed takes
/// no signature, because it does not know which it had taken: so it is short.
pub const SIGNATURE_AHEAD_MS: u64 = 1_000;
/// Longest timestamp, in digits.
const MAX_TIMESTAMP_DIGITS: usize = 16;

/// What is signed, in parts that follow each other.
#[derive(Clone, Copy, Debug)]
pub struct SignedText<'a> {
    /// As it stands in the request.
    pub timestamp: &'a [u8],
    /// In capitals.
    pub method: &'a [u8],
    /// As it stands in the request.
    pub target: &'a [u8],
    /// Decoded from its chunks.
    pub body: &'a [u8],
}

impl SignedText<'_> {
    fn whole(&self) -> Vec<u8> {
        [self.timestamp, self.method, self.target, self.body].concat()
    }
}

/// A signature that must not be used again while its timestamp is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seal {
    /// Half of the signature: as hard to meet by chance as any key.
    pub signature: u128,
}

impl Auth {
    /// Who signed.
    ///
    /// # Errors
    /// Nobody that is believed.
    pub fn caller_of_signature(
        &self,
        judge: &Judge<'_>,
        key: &[u8],
        text: &SignedText<'_>,
        given: &[u8],
    ) -> Result<(Caller, Seal), AuthError> {
        let timestamp_ms = read_timestamp(text.timestamp)?;
        let is_late = timestamp_ms + SIGNATURE_WINDOW_MS < judge.now_ms;
        if is_late || timestamp_ms > judge.now_ms + SIGNATURE_AHEAD_MS {
            return Err(AuthError::Window { now_ms: judge.now_ms });
        }
        if timestamp_ms < self.signatures_from_ms.get() {
            return Err(AuthError::BeforeStart);
        }
        let known = KeyId::parse(key).ok().and_then(|key| judge.identities.key(key));
        let record = known.unwrap_or(&NOBODYS);
        let is_right = self.is_signature(record, text, given);
        if known.is_none() || !is_right || record.is_expired(judge.now_ms) {
            return Err(AuthError::Signature);
        }
        let caller = caller_of_key(record, judge)?;
        Ok((caller, Seal { signature: half_of(given) }))
    }

    fn is_signature(&self, record: &KeyRecord, text: &SignedText<'_>, given: &[u8]) -> bool {
        match record.kind {
            KeyKind::Hmac { .. } => {
                let Some(given) = read_hex::<32>(given) else { return false };
                let verify = |key: &hmac::Key| hmac::verify(key, &text.whole(), &given).is_ok();
                if record.key == NOBODYS.key {
                    return self.secrets.with_nobodys(verify);
                }
                self.secrets.with_key(record, verify).unwrap_or(false)
            }
            KeyKind::Ed25519 { public } => {
                let Some(given) = read_hex::<64>(given) else { return false };
                signature::UnparsedPublicKey::new(&signature::ED25519, public)
                    .verify(&text.whole(), &given)
                    .is_ok()
            }
        }
    }

    /// Who has a key and its secret, for logins over a connection that stays open.
    ///
    /// # Errors
    /// Nobody that is believed.
    pub fn caller_of_secret(
        &self,
        judge: &Judge<'_>,
        key: &[u8],
        secret: &[u8],
    ) -> Result<Caller, AuthError> {
        let known = KeyId::parse(key).ok().and_then(|key| judge.identities.key(key));
        let record = known.unwrap_or(&NOBODYS);
        let is_right = self
            .secrets
            .of_key(record)
            .is_some_and(|wanted| same(wanted.reveal().as_bytes(), &secret.to_ascii_lowercase()));
        if known.is_none() || !is_right || record.is_expired(judge.now_ms) {
            return Err(AuthError::Signature);
        }
        caller_of_key(record, judge)
    }
}

/// Judged in place of a key that does not exist, so that it takes as long.
static NOBODYS: KeyRecord = KeyRecord {
    key: KeyId(0),
    user: UserId(0),
    name: String::new(),
    kind: KeyKind::Hmac { generation: 0 },
    permissions: Permissions::NONE,
    networks: Vec::new(),
    created_ms: 0,
    expires_ms: None,
    used_ms: None,
};

fn caller_of_key(record: &KeyRecord, judge: &Judge<'_>) -> Result<Caller, AuthError> {
    if !record.admits(judge.address) {
        return Err(AuthError::Address);
    }
    let role: Role = judge.identities.role(record.user);
    Ok(Caller {
        user: Some(record.user),
        role,
        permissions: record.permissions,
        means: Means::Key(record.key),
    })
}

fn read_timestamp(text: &[u8]) -> Result<u64, AuthError> {
    let is_number = !text.is_empty()
        && text.len() <= MAX_TIMESTAMP_DIGITS
        && text.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number
        .filter(|_| is_number)
        .ok_or(AuthError::Malformed("X-TIMESTAMP", "must be ms since the epoch"))
}

/// The digits are read again: the same signature in other letters is the same.
fn half_of(given: &[u8]) -> u128 {
    let digits = given.get(..32).and_then(read_hex::<16>);
    u128::from_be_bytes(digits.unwrap_or_default())
}

/// Equality whose time does not tell where the difference is.
pub(super) fn same(wanted: &[u8], given: &[u8]) -> bool {
    let differing = wanted.iter().zip(given).fold(0, |sum, (left, right)| sum | (left ^ right));
    wanted.len() == given.len() && differing == 0
}
