use super::*;
use crate::access::Permissions;
use crate::key::KeyKind;

const USER: UserId = UserId(7);

fn key(id: u64) -> KeyRecord {
    KeyRecord {
        key: KeyId(id),
        user: USER,
        name: "bot".to_owned(),
        kind: KeyKind::Hmac { generation: 1 },
        permissions: Permissions::READ,
        networks: Vec::new(),
        created_ms: 0,
        expires_ms: None,
        used_ms: None,
    }
}

fn session(id: u64, opened_ms: u64) -> SessionRecord {
    let token_hash = [id as u8; 32];
    SessionRecord {
        session: SessionId(id),
        user: USER,
        token_hash,
        opened_ms,
        expires_ms: opened_ms + 100,
    }
}

fn change(table: &mut Identities, asked: Change) -> Result<Outcome, Refusal> {
    let (change, outcome) = table.decide(&asked)?;
    table.apply(&change);
    Ok(outcome)
}

fn rotate(id: u64, old: u8, new: u8, at_ms: u64) -> Change {
    Change::RotateSession {
        session: SessionId(id),
        old_hash: [old; 32],
        new_hash: [new; 32],
        at_ms,
        expires_ms: at_ms + 100,
    }
}

#[test]
fn a_refresh_token_that_comes_twice_closes_its_session() {
    let mut table = Identities::default();
    change(&mut table, Change::OpenSession(session(1, 0))).unwrap();
    let opened = Outcome::Opened { session: SessionId(1), user: USER };
    assert_eq!(change(&mut table, rotate(1, 1, 2, 10)), Ok(opened));
    assert_eq!(change(&mut table, rotate(1, 1, 3, 11)), Ok(Outcome::Reused { user: USER }));
    assert_eq!(table.session(SessionId(1)), None);
    assert_eq!(change(&mut table, rotate(1, 2, 4, 12)), Err(Refusal::UnknownSession));
}

#[test]
fn an_expired_session_is_not_refreshed() {
    let mut table = Identities::default();
    change(&mut table, Change::OpenSession(session(1, 0))).unwrap();
    assert_eq!(change(&mut table, rotate(1, 1, 2, 100)), Err(Refusal::UnknownSession));
}

#[test]
fn one_login_too_many_closes_the_oldest_and_forgets_the_expired() {
    let mut table = Identities::default();
    for id in 0..MAX_SESSIONS_PER_USER as u64 + 3 {
        change(&mut table, Change::OpenSession(session(id, id))).unwrap();
    }
    assert_eq!(table.sessions_of(USER).count(), MAX_SESSIONS_PER_USER);
    assert_eq!(table.session(SessionId(2)), None);
    change(&mut table, Change::OpenSession(session(99, 1_000))).unwrap();
    assert_eq!(table.sessions().count(), 1);
}

#[test]
fn a_new_password_closes_all_sessions() {
    let mut table = Identities::default();
    change(&mut table, Change::OpenSession(session(1, 0))).unwrap();
    let password_hash = Some("$argon2id$…".to_owned());
    let asked = UserChange { user: USER, password_hash, ..UserChange::default() };
    change(&mut table, Change::User(asked)).unwrap();
    assert_eq!(table.sessions_of(USER).count(), 0);
}

#[test]
fn a_key_is_revoked_by_its_owner_or_by_anybody_who_may() {
    let mut table = Identities::default();
    change(&mut table, Change::AddKey(key(1))).unwrap();
    assert_eq!(change(&mut table, Change::AddKey(key(1))), Err(Refusal::KeyExists));
    let revoke = |owner| Change::RevokeKey { key: KeyId(1), owner };
    assert_eq!(change(&mut table, revoke(Some(UserId(8)))), Err(Refusal::UnknownKey));
    assert_eq!(change(&mut table, revoke(Some(USER))), Ok(Outcome::Key(KeyId(1))));
    assert_eq!(change(&mut table, revoke(None)), Err(Refusal::UnknownKey));
    assert_eq!(table.keys_of(USER).count(), 0);
}

#[test]
fn keys_of_a_user_are_bounded() {
    let mut table = Identities::default();
    for id in 0..MAX_KEYS_PER_USER as u64 {
        change(&mut table, Change::AddKey(key(id))).unwrap();
    }
    assert_eq!(change(&mut table, Change::AddKey(key(999))), Err(Refusal::TooManyKeys));
    let other = KeyRecord { user: UserId(8), ..key(999) };
    assert!(change(&mut table, Change::AddKey(other)).is_ok());
}

#[test]
fn a_user_like_any_other_takes_no_room() {
    let mut table = Identities::default();
    let role = |role| Change::User(UserChange { user: USER, role, ..UserChange::default() });
    change(&mut table, role(Some(Role::Auditor))).unwrap();
    assert_eq!((table.role(USER), table.users().count()), (Role::Auditor, 1));
    change(&mut table, role(Some(Role::User))).unwrap();
    assert_eq!((table.role(USER), table.users().count()), (Role::User, 0));
}
