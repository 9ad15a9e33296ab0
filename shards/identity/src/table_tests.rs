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
    change_and_tell(table, asked).map(|(outcome, _)| outcome)
}

fn change_and_tell(
    table: &mut Identities,
    asked: Change,
) -> Result<(Outcome, Vec<Ended>), Refusal> {
    let (change, outcome) = table.decide(&asked)?;
    let mut ended = Vec::new();
    table.apply(&change, &mut ended);
    Ok((outcome, ended))
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

#[test]
fn every_end_of_a_credential_is_told() {
    let mut table = Identities::default();
    let mut ended = |asked| change_and_tell(&mut table, asked).unwrap().1;
    for id in 0..MAX_SESSIONS_PER_USER as u64 {
        assert_eq!(ended(Change::OpenSession(session(id, id))), []);
    }
    let oldest = Ended::Session(SessionId(0));
    assert_eq!(ended(Change::OpenSession(session(90, 50))), [oldest]);
    assert_eq!(ended(rotate(1, 1, 2, 60)), []);
    assert_eq!(ended(rotate(1, 1, 3, 60)), [Ended::Session(SessionId(1))]);
    let logout = Change::CloseSession { session: SessionId(2) };
    assert_eq!(ended(logout), [Ended::Session(SessionId(2))]);
    assert_eq!(ended(Change::CloseSessions { user: USER }), [Ended::User(USER)]);
    let password_hash = Some("$argon2id$…".to_owned());
    let password = UserChange { user: USER, password_hash, ..UserChange::default() };
    assert_eq!(ended(Change::User(password)), [Ended::User(USER)]);
    let role = UserChange { user: USER, role: Some(Role::Support), ..UserChange::default() };
    assert_eq!(ended(Change::User(role)), []);
    assert_eq!(ended(Change::AddKey(key(1))), []);
    assert_eq!(ended(Change::KeyUsed { key: KeyId(1), at_ms: 5 }), []);
    assert_eq!(ended(Change::RevokeKey { key: KeyId(1), owner: None }), [Ended::Key(KeyId(1))]);
}

#[test]
fn an_image_that_no_change_could_have_made_is_refused() {
    let mut table = Identities::default();
    assert!(!table.restore_user(USER, UserIdentity::default()));
    let auditor = UserIdentity { role: Role::Auditor, ..UserIdentity::default() };
    assert!(table.restore_user(USER, auditor.clone()) && !table.restore_user(USER, auditor));
    let password_hash = Some("h".repeat(MAX_PASSWORD_HASH_LENGTH_BYTES + 1));
    let long = UserIdentity { password_hash, ..UserIdentity::default() };
    assert!(!table.restore_user(UserId(8), long));
    for id in 0..MAX_KEYS_PER_USER as u64 {
        assert!(table.restore_key(key(id)) && !table.restore_key(key(id)));
    }
    assert!(!table.restore_key(key(999)));
    for id in 0..MAX_SESSIONS_PER_USER as u64 {
        assert!(table.restore_session(session(id, 0)) && !table.restore_session(session(id, 0)));
    }
    assert!(!table.restore_session(session(999, 0)));
}
