//! What the clients change of roles, keys and sessions, and what must be true once that is answered:
//! on every shard, at that instant and for ever.
//!
//! Ids are used once, so what has ended must never be seen again, whatever arrives late. What was made
//! must be there until somebody asks for something that may end it.

use std::collections::BTreeMap;

use engine::{Engine, Refusal, Reply};
use identity::{
    Change, Ended, Identities, KeyId, KeyKind, KeyRecord, MAX_SESSIONS_PER_USER, Network, Outcome,
    Permissions, Rate, Role, SessionId, SessionRecord, UserChange,
};
use money::UserId;

use crate::random::Random;

/// How long a session lasts, on the clients' own clock of one tick a change; and a short one.
const SESSION_TICKS: u64 = 10_000;
const SHORT_SESSION_TICKS: u64 = 3;

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) enum Aim {
    Role(UserId, u64),
    /// With the sessions that it must close.
    Password(UserId, u64, Vec<usize>),
    AddKey(usize),
    /// Whether the key was known to be there.
    RevokeKey(usize, bool),
    UseKey,
    Open(usize),
    /// To the token of this number; whether the session was known to be open.
    Rotate(usize, u64, bool),
    Close(usize),
    CloseAll(UserId, Vec<usize>),
}

struct KnownKey {
    record: KeyRecord,
    is_added: bool,
    revocations: u64,
    is_gone: bool,
}

struct KnownSession {
    session: SessionId,
    user: UserId,
    is_open: bool,
    /// Something may have closed it.
    may_go: bool,
    is_gone: bool,
    /// The number of the token that is good, as far as answers tell, and of the last one asked for.
    good: u64,
    last: u64,
    /// A refresh is under way, or was lost.
    is_unsure: bool,
}

/// Something of a user that one change at a time sets.
struct Setting<T> {
    asked: u64,
    last: Option<T>,
    in_force: Option<T>,
    under_way: bool,
    /// One whose connection is gone may still arrive, behind later ones.
    stray: bool,
}

impl<T> Default for Setting<T> {
    fn default() -> Setting<T> {
        Setting { asked: 0, last: None, in_force: None, under_way: false, stray: false }
    }
}

impl<T: Clone> Setting<T> {
    fn ask(&mut self, value: T) -> u64 {
        self.asked += 1;
        (self.last, self.in_force, self.under_way) = (Some(value), None, true);
        self.asked
    }

    /// What must be in force with the answer to a change, if that is sure.
    fn sure(&self, number: u64) -> Option<&T> {
        self.last.as_ref().filter(|_| self.asked == number && !self.stray)
    }
}

#[derive(Default)]
struct KnownUser {
    role: Setting<Role>,
    password: Setting<String>,
    /// Changes under way, or lost, that may close any session.
    closers: u64,
}

#[derive(Default)]
pub(crate) struct Credentials {
    keys: Vec<KnownKey>,
    sessions: Vec<KnownSession>,
    users: BTreeMap<UserId, KnownUser>,
    ticks: u64,
}

fn token_hash(session: u64, number: u64) -> [u8; 32] {
    let mut hash = [7; 32];
    hash[..8].copy_from_slice(&session.to_le_bytes());
    hash[8..16].copy_from_slice(&number.to_le_bytes());
    hash
}

fn number_of(record: &SessionRecord) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&record.token_hash[8..16]);
    u64::from_le_bytes(number)
}

impl Credentials {
    /// Something to change.
    pub fn act(&mut self, user: UserId, random: &mut Random) -> Option<(Aim, Change)> {
        self.ticks += 1;
        match random.below(100) {
            0..=14 => self.set_role(user, random),
            15..=19 => self.set_password(user, random),
            20..=34 => Some(self.add_key(user, random)),
            35..=46 => self.revoke_key(random),
            47..=51 => {
                let key = self.keys.get(random.index(self.keys.len().max(1)))?.record.key;
                Some((Aim::UseKey, Change::KeyUsed { key, at_ms: self.ticks }))
            }
            52..=71 => Some(self.open(user, random)),
            72..=87 => self.rotate(random),
            88..=96 => self.close(random),
            _ => Some(self.close_all(user)),
        }
    }

    fn set_role(&mut self, user: UserId, random: &mut Random) -> Option<(Aim, Change)> {
        let setting = &mut self.users.entry(user).or_default().role;
        if setting.under_way {
            return None;
        }
        let role = random.pick(&Role::ALL);
        let rate = Rate { orders_per_second: random.below(50) as u32, burst: 3 };
        let rate = random.chance(30).then_some(random.chance(50).then_some(rate));
        let change = UserChange { user, role: Some(role), password_hash: None, rate };
        Some((Aim::Role(user, setting.ask(role)), Change::User(change)))
    }

    fn set_password(&mut self, user: UserId, random: &mut Random) -> Option<(Aim, Change)> {
        if self.users.entry(user).or_default().password.under_way {
            return None;
        }
        let hash = format!("$argon2id${}", random.below(1_000_000));
        let closing = self.closing(user);
        let number = self.users.entry(user).or_default().password.ask(hash.clone());
        let change = UserChange { user, role: None, password_hash: Some(hash), rate: None };
        Some((Aim::Password(user, number, closing), Change::User(change)))
    }

    fn close_all(&mut self, user: UserId) -> (Aim, Change) {
        (Aim::CloseAll(user, self.closing(user)), Change::CloseSessions { user })
    }

    /// What a change must close that closes all sessions of a user and is asked for now.
    fn closing(&mut self, user: UserId) -> Vec<usize> {
        self.users.entry(user).or_default().closers += 1;
        let mut open = Vec::new();
        for (at, known) in self.sessions.iter_mut().enumerate().filter(|(_, one)| one.user == user)
        {
            known.may_go = true;
            if known.is_open {
                open.push(at);
            }
        }
        open
    }

    fn add_key(&mut self, user: UserId, random: &mut Random) -> (Aim, Change) {
        let index = self.keys.len();
        let kind = match random.chance(50) {
            true => KeyKind::Hmac { generation: random.below(3) as u32 },
            false => KeyKind::Ed25519 { public: [index as u8; 32] },
        };
        let networks = ["10.0.0.0/8", "2001:db8::/32"].into_iter().take(random.index(3));
        let record = KeyRecord {
            key: KeyId(index as u64 + 1),
            user,
            name: format!("bot-{index}"),
            kind,
            permissions: random.pick(&[Permissions::READ, Permissions::TRADE, Permissions::ALL]),
            networks: networks.filter_map(|text| Network::parse(text).ok()).collect(),
            created_ms: self.ticks,
            expires_ms: random.chance(30).then_some(self.ticks + 5),
            used_ms: None,
        };
        let known =
            KnownKey { record: record.clone(), is_added: false, revocations: 0, is_gone: false };
        self.keys.push(known);
        (Aim::AddKey(index), Change::AddKey(record))
    }

    fn revoke_key(&mut self, random: &mut Random) -> Option<(Aim, Change)> {
        let index = random.index(self.keys.len().max(1));
        let known = self.keys.get_mut(index)?;
        known.revocations += 1;
        let owner = random.chance(50).then_some(known.record.user);
        let revoke = Change::RevokeKey { key: known.record.key, owner };
        Some((Aim::RevokeKey(index, known.is_added), revoke))
    }

    fn open(&mut self, user: UserId, random: &mut Random) -> (Aim, Change) {
        let index = self.sessions.len();
        let session = SessionId(index as u64 + 1);
        let is_short = random.chance(10);
        let ticks = if is_short { SHORT_SESSION_TICKS } else { SESSION_TICKS };
        let may_go = is_short || self.users.entry(user).or_default().closers > 0;
        self.sessions.push(KnownSession {
            session,
            user,
            is_open: false,
            may_go,
            is_gone: false,
            good: 0,
            last: 0,
            is_unsure: false,
        });
        let own = self.sessions.iter_mut().filter(|one| one.user == user && !one.is_gone);
        let own: Vec<&mut KnownSession> = own.collect();
        if own.len() > MAX_SESSIONS_PER_USER {
            own.into_iter().for_each(|one| one.may_go = true);
        }
        let (opened_ms, expires_ms) = (self.ticks, self.ticks + ticks);
        let token_hash = token_hash(session.0, 0);
        let record = SessionRecord { session, user, token_hash, opened_ms, expires_ms };
        (Aim::Open(index), Change::OpenSession(record))
    }

    fn rotate(&mut self, random: &mut Random) -> Option<(Aim, Change)> {
        let index = random.index(self.sessions.len().max(1));
        let (at_ms, expires_ms) = (self.ticks, self.ticks + SESSION_TICKS);
        let known = self.sessions.get_mut(index)?;
        let is_old = random.chance(15);
        known.may_go |= is_old || known.is_unsure;
        let id = known.session.0;
        let old = if is_old { u64::MAX } else { known.good };
        known.last += 1;
        known.is_unsure = true;
        let change = Change::RotateSession {
            session: known.session,
            old_hash: token_hash(id, old),
            new_hash: token_hash(id, known.last),
            at_ms,
            expires_ms,
        };
        Some((Aim::Rotate(index, known.last, known.is_open), change))
    }

    fn close(&mut self, random: &mut Random) -> Option<(Aim, Change)> {
        let index = random.index(self.sessions.len().max(1));
        let known = self.sessions.get_mut(index)?;
        known.may_go = true;
        Some((Aim::Close(index), Change::CloseSession { session: known.session }))
    }

    /// Panics unless a change whose answer leaves now is in force on every shard, and whoever came in
    /// by what it ended has been told of.
    pub fn check_released(&self, aim: &Aim, reply: &Reply, engines: &[&Engine], told: &[&[Ended]]) {
        let Reply::Identity(outcome) = reply else { return };
        for (engine, told) in engines.iter().zip(told) {
            let (table, here) = (engine.identities(), engine.shard());
            let fits = self.is_in_force(aim, *outcome, table);
            assert!(fits, "{aim:?} is answered with {outcome:?} before shard {here} has it");
            if let Some(ended) = self.ended_by(aim, *outcome) {
                assert!(told.contains(&ended), "{ended:?} is answered before shard {here} tells");
            }
        }
    }

    fn is_in_force(&self, aim: &Aim, outcome: Outcome, table: &Identities) -> bool {
        let is_open = |index: usize| table.session(self.sessions[index].session);
        let all_closed = |closed: &[usize]| closed.iter().all(|&one| is_open(one).is_none());
        match aim {
            Aim::Role(user, number) => {
                let sure = self.users[user].role.sure(*number);
                sure.is_none_or(|role| table.role(*user) == *role)
            }
            Aim::Password(user, number, closed) => {
                let hash = table.user(*user).and_then(|known| known.password_hash.as_ref());
                let sure = self.users[user].password.sure(*number);
                sure.is_none_or(|sure| hash == Some(sure)) && all_closed(closed)
            }
            Aim::AddKey(index) => self.keys[*index].is_there(table),
            Aim::RevokeKey(index, _) => table.key(self.keys[*index].record.key).is_none(),
            Aim::UseKey => true,
            Aim::Rotate(index, ..) if matches!(outcome, Outcome::Reused { .. }) => {
                is_open(*index).is_none()
            }
            Aim::Rotate(index, number, _) => match is_open(*index) {
                Some(record) => number_of(record) >= *number,
                None => self.sessions[*index].may_go,
            },
            Aim::Open(index) => is_open(*index).is_some() || self.sessions[*index].may_go,
            Aim::Close(index) => is_open(*index).is_none(),
            Aim::CloseAll(_, closed) => all_closed(closed),
        }
    }

    fn ended_by(&self, aim: &Aim, outcome: Outcome) -> Option<Ended> {
        match aim {
            Aim::RevokeKey(index, _) => Some(Ended::Key(self.keys[*index].record.key)),
            Aim::Close(index) => Some(Ended::Session(self.sessions[*index].session)),
            Aim::Rotate(index, ..) if matches!(outcome, Outcome::Reused { .. }) => {
                Some(Ended::Session(self.sessions[*index].session))
            }
            Aim::Password(user, ..) | Aim::CloseAll(user, _) => Some(Ended::User(*user)),
            _ => None,
        }
    }

    /// An answer has reached its client.
    pub fn answered(&mut self, aim: &Aim, reply: &Reply) {
        let outcome = match reply {
            Reply::Identity(outcome) => Some(*outcome),
            Reply::Refused(Refusal::Busy) => None,
            Reply::Refused(Refusal::Identity(refusal)) => {
                self.check_refusal(aim, *refusal);
                None
            }
            other => panic!("{other:?} to {aim:?}"),
        };
        self.no_longer_under_way(aim);
        let Some(outcome) = outcome else { return };
        match aim {
            Aim::Role(user, number) => {
                let setting = &mut self.users.entry(*user).or_default().role;
                setting.in_force = setting.sure(*number).copied();
            }
            Aim::Password(user, number, closed) => {
                let setting = &mut self.users.entry(*user).or_default().password;
                setting.in_force = setting.sure(*number).cloned();
                self.gone(closed);
            }
            Aim::AddKey(index) => self.keys[*index].is_added = true,
            Aim::RevokeKey(index, _) => self.keys[*index].is_gone = true,
            Aim::UseKey => {}
            Aim::Open(index) => self.sessions[*index].is_open = true,
            Aim::Rotate(index, number, _) => match outcome {
                Outcome::Reused { .. } => self.gone(&[*index]),
                _ => {
                    let known = &mut self.sessions[*index];
                    if *number > known.good {
                        known.good = *number;
                        known.is_unsure = known.last > *number;
                    }
                }
            },
            Aim::Close(index) => self.gone(&[*index]),
            Aim::CloseAll(_, closed) => self.gone(closed),
        }
    }

    fn check_refusal(&self, aim: &Aim, refusal: identity::Refusal) {
        use identity::Refusal::{TooManyKeys, UnknownKey, UnknownSession};
        let may_be = match (aim, refusal) {
            (Aim::AddKey(_), TooManyKeys) | (Aim::UseKey, UnknownKey) => true,
            (Aim::RevokeKey(index, was_added), UnknownKey) => {
                !was_added || self.keys[*index].revocations > 1
            }
            (Aim::Rotate(index, _, was_open), UnknownSession) => {
                !was_open || self.sessions[*index].may_go
            }
            (Aim::Close(_), UnknownSession) => true,
            _ => false,
        };
        assert!(may_be, "{refusal} to {aim:?}");
    }

    fn gone(&mut self, closed: &[usize]) {
        for &index in closed {
            self.sessions[index].is_gone = true;
        }
    }

    /// A request went nowhere, or its answer came.
    pub fn no_longer_under_way(&mut self, aim: &Aim) {
        match aim {
            Aim::Role(user, _) => self.users.entry(*user).or_default().role.under_way = false,
            Aim::Password(user, ..) => {
                let known = self.users.entry(*user).or_default();
                known.password.under_way = false;
                known.closers -= 1;
            }
            Aim::CloseAll(user, _) => self.users.entry(*user).or_default().closers -= 1,
            _ => {}
        }
    }

    /// An answer is lost: the change may come late, or never.
    pub fn lose(&mut self, aim: &Aim) {
        match aim {
            Aim::Role(user, _) => {
                let setting = &mut self.users.entry(*user).or_default().role;
                (setting.under_way, setting.stray) = (false, true);
            }
            Aim::Password(user, ..) => {
                let setting = &mut self.users.entry(*user).or_default().password;
                (setting.under_way, setting.stray) = (false, true);
            }
            _ => {}
        }
    }

    /// The process has ended, and with it whatever was on its way to it.
    pub fn lose_everything(&mut self) {
        for known in self.users.values_mut() {
            (known.role.stray, known.password.stray) = (false, false);
            known.closers = 0;
        }
    }

    /// Panics unless every shard has what was answered.
    pub fn check(&self, engines: &[&Engine]) {
        for engine in engines {
            let (table, here) = (engine.identities(), engine.shard());
            for known in &self.keys {
                let there = table.key(known.record.key);
                assert!(!known.is_gone || there.is_none(), "revoked, on shard {here}: {there:?}");
                let fits = !known.is_added || known.is_there(table);
                assert!(fits, "lost on shard {here}: {:?}", known.record);
            }
            for known in &self.sessions {
                let there = table.session(known.session);
                assert!(!known.is_gone || there.is_none(), "closed, on shard {here}: {there:?}");
                let fits = !known.is_open || known.may_go || there.is_some();
                assert!(fits, "lost on shard {here}: {}", known.session);
                let good = known.good;
                let fits = there.is_none_or(|record| number_of(record) >= good);
                assert!(fits, "an old token is good again on shard {here}: {there:?}");
            }
            for (&user, known) in &self.users {
                let role = known.role.in_force;
                assert!(role.is_none_or(|role| role == table.role(user)), "{user} on {here}");
                let hash = table.user(user).and_then(|known| known.password_hash.as_ref());
                let password = known.password.in_force.as_ref();
                assert!(password.is_none() || password == hash, "{user} on shard {here}");
            }
        }
    }
}

impl KnownKey {
    /// As it was made, or revoked as somebody asked.
    fn is_there(&self, table: &Identities) -> bool {
        match table.key(self.record.key) {
            Some(record) => KeyRecord { used_ms: None, ..record.clone() } == self.record,
            None => self.revocations > 0,
        }
    }
}
