//! Roles, keys and sessions a second time: three lists, looked through from end to end.

use identity::{
    Change, Identities, KeyRecord, MAX_KEYS_PER_USER, MAX_SESSIONS_PER_USER, Rate, Role,
    SessionRecord, UserChange,
};
use money::UserId;

/// What is known of one user.
#[derive(Clone, Debug, PartialEq)]
struct NaiveUser {
    user: UserId,
    role: Role,
    password_hash: Option<String>,
    rate: Option<Rate>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NaiveIdentities {
    users: Vec<NaiveUser>,
    keys: Vec<KeyRecord>,
    sessions: Vec<SessionRecord>,
}

impl NaiveIdentities {
    /// What the registrar tells everybody when it has taken this into its journal.
    pub fn decide(&self, asked: &Change) -> Change {
        match asked {
            Change::AddKey(record) => {
                assert!(!self.has_key(record.key), "one key twice: {record:?}");
                let keys = self.keys.iter().filter(|key| key.user == record.user).count();
                assert!(keys < MAX_KEYS_PER_USER, "too many keys: {record:?}");
            }
            Change::RevokeKey { key, owner } => {
                let found = self.keys.iter().find(|record| record.key == *key);
                let user = found.expect("a key that is there").user;
                assert!(owner.is_none_or(|owner| owner == user), "another user's key: {asked:?}");
            }
            Change::KeyUsed { key, .. } => assert!(self.has_key(*key), "{asked:?}"),
            Change::RotateSession { session, old_hash, at_ms, .. } => {
                let found = self.sessions.iter().find(|record| record.session == *session);
                let record = found.expect("a session that is there");
                assert!(record.expires_ms > *at_ms, "refreshed after its end: {record:?}");
                if record.token_hash != *old_hash {
                    return Change::CloseSession { session: *session };
                }
            }
            Change::CloseSession { session } => {
                assert!(self.sessions.iter().any(|record| record.session == *session), "{asked:?}");
            }
            Change::User(_) | Change::OpenSession(_) | Change::CloseSessions { .. } => {}
        }
        asked.clone()
    }

    fn has_key(&self, key: identity::KeyId) -> bool {
        self.keys.iter().any(|record| record.key == key)
    }

    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::User(change) => self.change_user(change),
            Change::AddKey(record) => self.keys.push(record.clone()),
            Change::RevokeKey { key, .. } => self.keys.retain(|record| record.key != *key),
            Change::KeyUsed { key, at_ms } => {
                for record in self.keys.iter_mut().filter(|record| record.key == *key) {
                    if record.used_ms.is_none_or(|used_ms| used_ms < *at_ms) {
                        record.used_ms = Some(*at_ms);
                    }
                }
            }
            Change::OpenSession(record) => self.open(record),
            Change::RotateSession { session, new_hash, expires_ms, .. } => {
                for record in self.sessions.iter_mut().filter(|one| one.session == *session) {
                    (record.token_hash, record.expires_ms) = (*new_hash, *expires_ms);
                }
            }
            Change::CloseSession { session } => {
                self.sessions.retain(|record| record.session != *session);
            }
            Change::CloseSessions { user } => self.sessions.retain(|one| one.user != *user),
        }
    }

    fn change_user(&mut self, change: &UserChange) {
        let known = self.users.iter().position(|one| one.user == change.user);
        let nobody =
            NaiveUser { user: change.user, role: Role::User, password_hash: None, rate: None };
        let mut user = known.map_or(nobody, |at| self.users.remove(at));
        user.role = change.role.unwrap_or(user.role);
        user.rate = change.rate.unwrap_or(user.rate);
        if let Some(hash) = &change.password_hash {
            user.password_hash = Some(hash.clone());
            self.sessions.retain(|one| one.user != change.user);
        }
        if user.role != Role::User || user.password_hash.is_some() || user.rate.is_some() {
            self.users.push(user);
        }
    }

    fn open(&mut self, record: &SessionRecord) {
        let is_over = |one: &SessionRecord| one.expires_ms <= record.opened_ms;
        self.sessions.retain(|one| one.user != record.user || !is_over(one));
        loop {
            let own = self.sessions.iter().filter(|one| one.user == record.user);
            if own.clone().count() < MAX_SESSIONS_PER_USER {
                break;
            }
            let oldest = own.min_by_key(|one| (one.expires_ms, one.session)).map(|one| one.session);
            self.sessions.retain(|one| Some(one.session) != oldest);
        }
        self.sessions.push(*record);
    }

    /// Panics unless a shard knows the same.
    pub fn compare(&self, real: &Identities, what: &str) {
        let mut naive = self.clone();
        naive.users.sort_by_key(|one| one.user);
        naive.keys.sort_by_key(|one| one.key);
        naive.sessions.sort_by_key(|one| one.session);
        let users = real.users().map(|(user, known)| NaiveUser {
            user,
            role: known.role,
            password_hash: known.password_hash.clone(),
            rate: known.rate,
        });
        assert_eq!(users.collect::<Vec<_>>(), naive.users, "roles {what}");
        assert!(real.keys().eq(naive.keys.iter()), "keys {what}");
        assert!(real.sessions().eq(naive.sessions.iter()), "sessions {what}");
    }
}
