//! Who asks, and whether it is so: signed requests, tokens, passwords.
//!
//! [`identify`] turns the headers of a request into a [`Caller`], [`Auth::caller_of_token`] and
//! [`Auth::caller_of_signature`] do the same for what stands in messages. All of it is judged against the
//! table of [`identity::Identities`] that every shard has, so nobody has to be asked. Promises: what is
//! compared in secret is compared in constant time; an answer does not tell whether a key exists; no
//! secret can be printed. Randomness and the hashing of passwords, which takes long, are the caller's.

mod caller;
mod error;
mod grant;
mod hex;
mod identify;
mod jwt;
mod password;
mod secrets;
mod shown;
mod signature;

pub use caller::{Caller, Means};
pub use error::AuthError;
pub use grant::{Grant, REFRESH_TOKEN_LIFE_MS, RefreshToken, token_hash};
pub(crate) use hex::read_hex;
pub use identify::identify;
pub use jwt::ACCESS_TOKEN_LIFE_MS;
pub use password::{
    MAX_PASSWORD_BYTES, MIN_PASSWORD_BYTES, Password, PasswordJob, PasswordVerdict, check_password,
};
pub use secrets::{SECRET_BYTES, Secret, SecretError, Secrets};
pub use shown::{Hidden, Shown};
pub use signature::{SIGNATURE_AHEAD_MS, SIGNATURE_WINDOW_MS, Seal, SignedText};

use std::cell::Cell;
use std::net::IpAddr;

use identity::{Identities, Network};

/// How callers say who they are.
#[derive(Debug)]
pub struct Auth {
    /// `X-User-ID` and `X-Admin-Token` are believed. For a loopback address only.
    pub is_development: bool,
    /// What `X-Admin-Token` must be, in development mode; `None`: nobody is an administrator by it.
    pub admin_token: Option<String>,
    /// What keys, tokens and passwords are checked with.
    pub secrets: Secrets,
    /// Who is shown the metrics without saying who it is; in development mode everybody is.
    pub metrics_from: Vec<Network>,
    /// Before this time no signature is good: those that were used are not known any more. In ms since
    /// the epoch.
    pub signatures_from_ms: Cell<u64>,
}

impl Auth {
    /// What the development mode uses where nothing else is configured.
    pub const DEVELOPMENT_ADMIN_TOKEN: &'static str = "dev-admin";

    /// The development mode with its default token and a secret that everybody knows: for tests.
    pub fn development() -> Auth {
        Auth {
            is_development: true,
            admin_token: Some(Auth::DEVELOPMENT_ADMIN_TOKEN.to_owned()),
            secrets: Secrets::new(&[Secret::from_bytes([7; SECRET_BYTES])]),
            metrics_from: Vec::new(),
            signatures_from_ms: Cell::new(0),
        }
    }

    /// Whether the metrics are shown to an address.
    pub fn shows_metrics_to(&self, address: IpAddr) -> bool {
        self.is_development || self.metrics_from.iter().any(|network| network.contains(address))
    }
}

/// What a credential is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Judge<'a> {
    /// How callers say who they are.
    pub auth: &'a Auth,
    /// Roles, keys and sessions.
    pub identities: &'a Identities,
    /// Where the caller is.
    pub address: IpAddr,
    /// The time, in ms since the epoch.
    pub now_ms: u64,
}
