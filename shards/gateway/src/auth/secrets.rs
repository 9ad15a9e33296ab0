//! The server's own secret, and everything that is derived from it.
//!
//! Secrets of API keys are not stored: each is a function of the server's secret and the key's id, so what
//! a thief finds in the data directory signs nothing. The same secret peppers passwords and signs access
//! tokens. With a former secret beside the new one, what was derived from it goes on.

use std::cell::RefCell;
use std::collections::HashMap;

use identity::{KeyId, KeyKind, KeyRecord, SessionId};
use ring::hmac;

use super::hex::{read_hex, write_hex};

/// Length of the server's secret, in bytes.
pub const SECRET_BYTES: usize = 32;
/// Derived keys that are kept ready; past it all are derived anew.
const MAX_CACHED_KEYS: usize = 65_536;

/// Bytes that no log may show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; SECRET_BYTES]);

/// A text that is no secret of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be {} hexadecimal digits", SECRET_BYTES * 2)]
pub struct SecretError;

impl Secret {
    /// These bytes.
    pub fn from_bytes(bytes: [u8; SECRET_BYTES]) -> Secret {
        Secret(bytes)
    }

    /// Reads hexadecimal digits; white space around them is no part of them.
    pub fn parse(text: &str) -> Result<Secret, SecretError> {
        read_hex(text.trim().as_bytes()).map(Secret).ok_or(SecretError)
    }

    /// As hexadecimal digits, to be shown once or written to a file.
    pub fn reveal(&self) -> String {
        let mut text = Vec::new();
        write_hex(&mut text, &self.0);
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// One secret of the server and what is derived from it.
struct Master {
    generation: u32,
    api_keys: hmac::Key,
    tokens: hmac::Key,
    refresh_tokens: hmac::Key,
    pepper: [u8; SECRET_BYTES],
}

impl Master {
    fn new(secret: &Secret) -> Master {
        let root = hmac::Key::new(hmac::HMAC_SHA256, &secret.0);
        let generation = derive(&root, b"ringbook generation");
        let [a, b, c, d, ..] = generation;
        Master {
            generation: u32::from_be_bytes([a, b, c, d]),
            api_keys: hmac::Key::new(hmac::HMAC_SHA256, &derive(&root, b"ringbook api keys")),
            tokens: hmac::Key::new(hmac::HMAC_SHA256, &derive(&root, b"ringbook access tokens")),
            refresh_tokens: hmac::Key::new(
                hmac::HMAC_SHA256,
                &derive(&root, b"ringbook refresh tokens"),
            ),
            pepper: derive(&root, b"ringbook passwords"),
        }
    }

    fn mark(&self, session: SessionId, random: &[u8]) -> [u8; SECRET_BYTES] {
        derive(&self.refresh_tokens, &[&session.0.to_be_bytes(), random].concat())
    }
}

fn derive(key: &hmac::Key, label: &[u8]) -> [u8; SECRET_BYTES] {
    let tag = hmac::sign(key, label);
    let mut bytes = [0; SECRET_BYTES];
    bytes.copy_from_slice(tag.as_ref());
    bytes
}

/// The secrets of the server: the one in use, and former ones.
pub struct Secrets {
    /// The one in use first.
    masters: Vec<Master>,
    ready: RefCell<HashMap<KeyId, hmac::Key>>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secrets(…)")
    }
}

impl Secrets {
    /// With the secret in use first.
    ///
    /// # Panics
    /// Without any: the configuration is checked before this.
    pub fn new(secrets: &[Secret]) -> Secrets {
        assert!(!secrets.is_empty(), "a server has a secret");
        Secrets { masters: secrets.iter().map(Master::new).collect(), ready: RefCell::default() }
    }

    /// The fingerprint of the secret in use.
    pub fn generation(&self) -> u32 {
        self.masters[0].generation
    }

    fn master(&self, generation: u32) -> Option<&Master> {
        self.masters.iter().find(|master| master.generation == generation)
    }

    /// The secret of a key, as its owner has it; `None` where the server's secret that it comes from is
    /// not known any more, or the key is of another kind.
    pub fn of_key(&self, record: &KeyRecord) -> Option<Secret> {
        let KeyKind::Hmac { generation } = record.kind else { return None };
        let master = self.master(generation)?;
        Some(Secret(derive(&master.api_keys, &record.key.0.to_be_bytes())))
    }

    /// Does as much as [`Secrets::with_key`] with a key that it keeps ready: for who shows a key that is none.
    pub(super) fn with_nobodys<R>(&self, act: impl FnOnce(&hmac::Key) -> R) -> R {
        act(&self.masters[0].tokens)
    }

    /// Lets something be done with the secret of a key.
    pub(super) fn with_key<R>(
        &self,
        record: &KeyRecord,
        act: impl FnOnce(&hmac::Key) -> R,
    ) -> Option<R> {
        let mut ready = self.ready.borrow_mut();
        if let Some(key) = ready.get(&record.key) {
            return Some(act(key));
        }
        let secret = self.of_key(record)?;
        if ready.len() >= MAX_CACHED_KEYS {
            ready.clear();
        }
        // The owner has the digits, and signs with their text.
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
        let result = act(&key);
        ready.insert(record.key, key);
        Some(result)
    }

    /// What access tokens are signed with, with the fingerprint of its secret, the one in use first.
    pub(super) fn of_tokens(&self) -> impl Iterator<Item = (u32, &hmac::Key)> {
        self.masters.iter().map(|master| (master.generation, &master.tokens))
    }

    /// What shows that a refresh token of a session was made here.
    pub(super) fn mark(&self, session: SessionId, random: &[u8]) -> [u8; SECRET_BYTES] {
        self.masters[0].mark(session, random)
    }

    /// The same with each secret that there is.
    pub(super) fn marks(
        &self,
        session: SessionId,
        random: &[u8],
    ) -> impl Iterator<Item = [u8; SECRET_BYTES]> {
        self.masters.iter().map(move |master| master.mark(session, random))
    }

    /// What passwords are hashed with beside their salt.
    pub(super) fn pepper(&self, generation: u32) -> Option<[u8; SECRET_BYTES]> {
        self.master(generation).map(|master| master.pepper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use identity::Permissions;
    use money::UserId;

    fn record(key: u64, generation: u32) -> KeyRecord {
        KeyRecord {
            key: KeyId(key),
            user: UserId(1),
            name: String::new(),
            kind: KeyKind::Hmac { generation },
            permissions: Permissions::READ,
            networks: Vec::new(),
            created_ms: 0,
            expires_ms: None,
            used_ms: None,
        }
    }

    #[test]
    fn keys_of_a_former_secret_go_on_and_of_a_forgotten_one_do_not() {
        let (old, new) = (Secret::from_bytes([1; 32]), Secret::from_bytes([2; 32]));
        let before = Secrets::new(std::slice::from_ref(&old));
        let key = record(5, before.generation());
        let secret = before.of_key(&key);
        let both = Secrets::new(&[new.clone(), old]);
        assert_ne!(both.generation(), before.generation());
        assert_eq!(both.of_key(&key), secret);
        assert_eq!(Secrets::new(&[new]).of_key(&key), None);
        assert_ne!(both.of_key(&record(6, before.generation())), secret);
    }

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::parse(&"ab".repeat(32)).unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret.reveal(), "ab".repeat(32));
        let secrets = Secrets::new(&[secret]);
        assert_eq!(format!("{secrets:?}"), "Secrets(…)");
        assert_eq!(Secret::parse("ab"), Err(SecretError));
    }
}
