//! The table itself.

use std::collections::BTreeMap;

use money::UserId;
use rkyv::{Archive, Deserialize, Serialize};

use crate::access::Role;
use crate::change::{Change, Ended, Outcome, Refusal, UserChange};
use crate::key::{KeyId, KeyRecord, MAX_KEY_NAME_LENGTH_BYTES, MAX_KEY_NETWORKS};
use crate::session::{SessionId, SessionRecord};

/// Most keys of one user.
pub const MAX_KEYS_PER_USER: usize = 32;
/// Most open sessions of one user; one more closes the oldest.
pub const MAX_SESSIONS_PER_USER: usize = 16;
/// Longest hash of a password, in bytes.
pub const MAX_PASSWORD_HASH_LENGTH_BYTES: usize = 256;
/// How old the time of a key's last use may be before it is told anew, in ms.
pub const USED_STEP_MS: u64 = 60 * 60 * 1_000;

/// How fast a user may be.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Orders a second; 0: any number.
    pub orders_per_second: u32,
    /// How many at once.
    pub burst: u32,
}

/// What is known of a user beside its account.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct UserIdentity {
    /// What it is.
    pub role: Role,
    /// The hash of its password, as a PHC string.
    pub password_hash: Option<String>,
    /// How fast it may be, if not as fast as its role.
    pub rate: Option<Rate>,
}

/// Users, keys and sessions. The same on every shard, but for what is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identities {
    users: BTreeMap<UserId, UserIdentity>,
    keys: BTreeMap<KeyId, KeyRecord>,
    keys_of: BTreeMap<(UserId, KeyId), ()>,
    sessions: BTreeMap<SessionId, SessionRecord>,
    sessions_of: BTreeMap<(UserId, SessionId), ()>,
}

impl Identities {
    /// What is known of a user; a user without an entry is a plain one without a password.
    pub fn user(&self, user: UserId) -> Option<&UserIdentity> {
        self.users.get(&user)
    }

    /// A user's role.
    pub fn role(&self, user: UserId) -> Role {
        self.users.get(&user).map_or(Role::User, |identity| identity.role)
    }

    /// A key.
    pub fn key(&self, key: KeyId) -> Option<&KeyRecord> {
        self.keys.get(&key)
    }

    /// An open session.
    pub fn session(&self, session: SessionId) -> Option<&SessionRecord> {
        self.sessions.get(&session)
    }

    /// All users that are more than plain ones without a password, by id.
    pub fn users(&self) -> impl Iterator<Item = (UserId, &UserIdentity)> {
        self.users.iter().map(|(&user, identity)| (user, identity))
    }

    /// All keys, by id.
    pub fn keys(&self) -> impl Iterator<Item = &KeyRecord> {
        self.keys.values()
    }

    /// All sessions, by id.
    pub fn sessions(&self) -> impl Iterator<Item = &SessionRecord> {
        self.sessions.values()
    }

    /// The keys of a user, by id.
    pub fn keys_of(&self, user: UserId) -> impl Iterator<Item = &KeyRecord> {
        let range = (user, KeyId(0))..=(user, KeyId(u64::MAX));
        self.keys_of.range(range).filter_map(|(&(_, key), ())| self.keys.get(&key))
    }

    /// The sessions of a user, by id.
    pub fn sessions_of(&self, user: UserId) -> impl Iterator<Item = &SessionRecord> {
        let range = (user, SessionId(0))..=(user, SessionId(u64::MAX));
        self.sessions_of.range(range).filter_map(|(&(_, session), ())| self.sessions.get(&session))
    }

    /// What becomes of a change that is asked for: what every shard is to apply, and the answer.
    ///
    /// # Errors
    /// Nothing is to be applied.
    pub fn decide(&self, asked: &Change) -> Result<(Change, Outcome), Refusal> {
        let outcome = match asked {
            Change::User(change) => {
                let hash = change.password_hash.as_ref();
                if hash.is_some_and(|hash| hash.len() > MAX_PASSWORD_HASH_LENGTH_BYTES) {
                    return Err(Refusal::OutOfBounds);
                }
                Outcome::User(change.user)
            }
            Change::AddKey(record) => {
                self.check_new_key(record)?;
                Outcome::Key(record.key)
            }
            Change::RevokeKey { key, owner } => {
                let record = self.keys.get(key).ok_or(Refusal::UnknownKey)?;
                if owner.is_some_and(|owner| owner != record.user) {
                    return Err(Refusal::UnknownKey);
                }
                Outcome::Key(*key)
            }
            Change::KeyUsed { key, .. } => {
                self.keys.get(key).ok_or(Refusal::UnknownKey)?;
                Outcome::Key(*key)
            }
            Change::OpenSession(record) => {
                if self.sessions.contains_key(&record.session) {
                    return Err(Refusal::OutOfBounds);
                }
                Outcome::Opened { session: record.session, user: record.user }
            }
            Change::RotateSession { session, old_hash, at_ms, .. } => {
                let record = self.sessions.get(session).ok_or(Refusal::UnknownSession)?;
                if record.expires_ms <= *at_ms {
                    return Err(Refusal::UnknownSession);
                }
                if record.token_hash != *old_hash {
                    let close = Change::CloseSession { session: *session };
                    return Ok((close, Outcome::Reused { user: record.user }));
                }
                Outcome::Opened { session: *session, user: record.user }
            }
            Change::CloseSession { session } => {
                self.sessions.get(session).ok_or(Refusal::UnknownSession)?;
                Outcome::Closed
            }
            Change::CloseSessions { .. } => Outcome::Closed,
        };
        Ok((asked.clone(), outcome))
    }

    fn check_new_key(&self, record: &KeyRecord) -> Result<(), Refusal> {
        if self.keys.contains_key(&record.key) {
            return Err(Refusal::KeyExists);
        }
        if self.keys_of(record.user).count() >= MAX_KEYS_PER_USER {
            return Err(Refusal::TooManyKeys);
        }
        let fits = record.name.len() <= MAX_KEY_NAME_LENGTH_BYTES
            && record.networks.len() <= MAX_KEY_NETWORKS;
        fits.then_some(()).ok_or(Refusal::OutOfBounds)
    }

    /// Applies what was decided. What it ends is appended to `ended`.
    pub fn apply(&mut self, change: &Change, ended: &mut Vec<Ended>) {
        match change {
            Change::User(change) => self.change_user(change, ended),
            Change::AddKey(record) => {
                self.keys_of.insert((record.user, record.key), ());
                self.keys.insert(record.key, record.clone());
            }
            Change::RevokeKey { key, .. } => {
                if let Some(record) = self.keys.remove(key) {
                    self.keys_of.remove(&(record.user, *key));
                    ended.push(Ended::Key(*key));
                }
            }
            Change::KeyUsed { key, at_ms } => {
                if let Some(record) = self.keys.get_mut(key) {
                    record.used_ms = record.used_ms.max(Some(*at_ms));
                }
            }
            Change::OpenSession(record) => self.open_session(record, ended),
            Change::RotateSession { session, new_hash, expires_ms, .. } => {
                if let Some(record) = self.sessions.get_mut(session) {
                    record.token_hash = *new_hash;
                    record.expires_ms = *expires_ms;
                }
            }
            Change::CloseSession { session } => self.close_session(*session, ended),
            Change::CloseSessions { user } => self.close_sessions(*user, ended),
        }
    }

    fn change_user(&mut self, change: &UserChange, ended: &mut Vec<Ended>) {
        let UserChange { user, role, password_hash, rate } = change;
        let identity = self.users.entry(*user).or_default();
        if let Some(role) = role {
            identity.role = *role;
        }
        if let Some(rate) = rate {
            identity.rate = *rate;
        }
        if let Some(hash) = password_hash {
            identity.password_hash = Some(hash.clone());
        }
        if *identity == UserIdentity::default() {
            self.users.remove(user);
        }
        if password_hash.is_some() {
            self.close_sessions(*user, ended);
        }
    }

    fn open_session(&mut self, record: &SessionRecord, ended: &mut Vec<Ended>) {
        let (user, now_ms) = (record.user, record.opened_ms);
        let mut open: Vec<(u64, SessionId)> =
            self.sessions_of(user).map(|known| (known.expires_ms, known.session)).collect();
        open.sort_unstable();
        let too_many = (open.len() + 1).saturating_sub(MAX_SESSIONS_PER_USER);
        for (place, (expires_ms, session)) in open.into_iter().enumerate() {
            if place < too_many || expires_ms <= now_ms {
                self.close_session(session, ended);
            }
        }
        self.sessions_of.insert((user, record.session), ());
        self.sessions.insert(record.session, *record);
    }

    fn close_session(&mut self, session: SessionId, ended: &mut Vec<Ended>) {
        if self.remove_session(session) {
            ended.push(Ended::Session(session));
        }
    }

    fn close_sessions(&mut self, user: UserId, ended: &mut Vec<Ended>) {
        let sessions: Vec<SessionId> =
            self.sessions_of(user).map(|record| record.session).collect();
        for session in sessions {
            self.remove_session(session);
        }
        ended.push(Ended::User(user));
    }

    fn remove_session(&mut self, session: SessionId) -> bool {
        let Some(record) = self.sessions.remove(&session) else { return false };
        self.sessions_of.remove(&(record.user, session));
        true
    }

    /// Adds what an image shows of a user. `false`, and nothing is added, when it is there already or
    /// no change could have made it so; likewise the next two.
    #[must_use]
    pub fn restore_user(&mut self, user: UserId, identity: UserIdentity) -> bool {
        let hash = identity.password_hash.as_ref();
        let fits = hash.is_none_or(|hash| hash.len() <= MAX_PASSWORD_HASH_LENGTH_BYTES);
        let is_new = fits && identity != UserIdentity::default() && !self.users.contains_key(&user);
        if is_new {
            self.users.insert(user, identity);
        }
        is_new
    }

    /// Adds a key that an image shows.
    #[must_use]
    pub fn restore_key(&mut self, record: KeyRecord) -> bool {
        let is_new = self.check_new_key(&record).is_ok();
        if is_new {
            self.keys_of.insert((record.user, record.key), ());
            self.keys.insert(record.key, record);
        }
        is_new
    }

    /// Adds a session that an image shows.
    #[must_use]
    pub fn restore_session(&mut self, record: SessionRecord) -> bool {
        let is_new = !self.sessions.contains_key(&record.session)
            && self.sessions_of(record.user).count() < MAX_SESSIONS_PER_USER;
        if is_new {
            self.sessions_of.insert((record.user, record.session), ());
            self.sessions.insert(record.session, record);
        }
        is_new
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
