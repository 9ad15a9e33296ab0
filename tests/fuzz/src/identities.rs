//! Changes of roles, keys and sessions: any that the types allow, and what the gateway promises of those
//! that it makes.

use identity::{
    Change, KeyId, KeyKind, KeyRecord, MAX_KEY_NAME_LENGTH_BYTES, MAX_KEY_NETWORKS, Network,
    Permissions, Rate, Role, SessionId, SessionRecord, UserChange,
};
use money::ID_LIMIT;

use crate::inputs::{long, optional, short, text, user, word};
use crate::source::Source;

/// Any change.
pub fn change(source: &mut Source<'_>) -> Change {
    match source.pick(8) {
        0 => Change::User(UserChange {
            user: user(source),
            role: optional(source, |source| word(source, &Role::ALL)),
            password_hash: optional(source, text),
            rate: optional(source, |source| optional(source, rate)),
        }),
        1 => Change::AddKey(record(source)),
        2 => Change::RevokeKey { key: key(source), owner: optional(source, user) },
        3 => Change::KeyUsed { key: key(source), at_ms: long(source) },
        4 => Change::OpenSession(SessionRecord {
            session: session(source),
            user: user(source),
            token_hash: hash(source),
            opened_ms: long(source),
            expires_ms: long(source),
        }),
        5 => Change::RotateSession {
            session: session(source),
            old_hash: hash(source),
            new_hash: hash(source),
            at_ms: long(source),
            expires_ms: long(source),
        },
        6 => Change::CloseSession { session: session(source) },
        _ => Change::CloseSessions { user: user(source) },
    }
}

fn record(source: &mut Source<'_>) -> KeyRecord {
    let networks = source.pick(4);
    KeyRecord {
        key: key(source),
        user: user(source),
        name: text(source),
        kind: match source.flag() {
            true => KeyKind::Ed25519 { public: hash(source) },
            false => KeyKind::Hmac { generation: short(source) },
        },
        permissions: permissions(source),
        networks: (0..networks).map(|_| network(source)).collect(),
        created_ms: long(source),
        expires_ms: optional(source, long),
        used_ms: optional(source, long),
    }
}

fn permissions(source: &mut Source<'_>) -> Permissions {
    let chosen = source.byte();
    let all = Permissions::WORDS.into_iter().enumerate();
    all.filter(|(place, _)| chosen >> place & 1 == 1)
        .fold(Permissions::NONE, |sum, (_, (one, _))| sum.and(one))
}

fn network(source: &mut Source<'_>) -> Network {
    let [a, b, c, d] = [(); 4].map(|()| source.byte());
    let length = source.pick(33);
    let text = format!("{a}.{b}.{c}.{d}/{length}");
    let any = || Network::parse("::/0").expect("everywhere is a network");
    Network::parse(&text).unwrap_or_else(|_| any())
}

fn rate(source: &mut Source<'_>) -> Rate {
    Rate { orders_per_second: short(source), burst: short(source) }
}

fn key(source: &mut Source<'_>) -> KeyId {
    KeyId(long(source))
}

fn session(source: &mut Source<'_>) -> SessionId {
    SessionId(long(source))
}

fn hash(source: &mut Source<'_>) -> [u8; 32] {
    let mut hash = [0; 32];
    let bytes = source.take(32);
    hash[..bytes.len()].copy_from_slice(bytes);
    hash
}

/// Fails if a change is not what a body may ask for.
pub fn check(change: &Change) {
    match change {
        Change::User(change) => {
            assert!(change.user.0 < ID_LIMIT, "{change:?}");
            assert_eq!(change.password_hash, None, "a hash from outside");
            let rate = change.rate.flatten();
            assert!(rate.is_none_or(|rate| rate.orders_per_second > 0 && rate.burst > 0));
        }
        Change::AddKey(record) => {
            assert!(record.user.0 < ID_LIMIT, "{record:?}");
            assert!((1..=MAX_KEY_NAME_LENGTH_BYTES).contains(&record.name.len()), "{record:?}");
            assert!(record.networks.len() <= MAX_KEY_NETWORKS, "{record:?}");
            assert_ne!(record.permissions, Permissions::NONE);
            assert!(record.expires_ms.is_none_or(|end_ms| end_ms > record.created_ms));
            assert_eq!(record.used_ms, None);
        }
        other => panic!("no body asks for this: {other:?}"),
    }
}
