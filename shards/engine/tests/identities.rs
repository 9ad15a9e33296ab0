//! Roles, keys and sessions on many shards: what is answered holds everywhere, and nobody stays who
//! came in by what has ended.

mod cluster;

use cluster::world::{USERS, world};
use cluster::{Cluster, Disk, Rng, for_seeds};
use engine::{Command, Event, Message, Piece, Query, Refusal, Reply, Restore};
use identity::{
    Change, Ended, Identities, KeyId, KeyKind, KeyRecord, MAX_SESSIONS_PER_USER, Outcome,
    Permissions, Role, SessionId, SessionRecord, UserChange,
};
use money::{ShardId, UserId};

fn key(id: u64, user: UserId) -> KeyRecord {
    KeyRecord {
        key: KeyId(id),
        user,
        name: format!("bot-{id}"),
        kind: KeyKind::Hmac { generation: 1 },
        permissions: Permissions::READ.and(Permissions::TRADE),
        networks: Vec::new(),
        created_ms: 1,
        expires_ms: None,
        used_ms: None,
    }
}

fn session(id: u64, user: UserId) -> SessionRecord {
    let token_hash = [id as u8; 32];
    let (opened_ms, expires_ms) = (id, 1_000_000 + id);
    SessionRecord { session: SessionId(id), user, token_hash, opened_ms, expires_ms }
}

fn change(change: Change) -> Command {
    Command::Identity(Box::new(change))
}

fn role(user: UserId, role: Role) -> Command {
    change(Change::User(UserChange { user, role: Some(role), ..UserChange::default() }))
}

fn password(user: UserId, hash: &str) -> Command {
    let password_hash = Some(hash.to_owned());
    change(Change::User(UserChange { user, password_hash, ..UserChange::default() }))
}

fn revoke(id: u64) -> Command {
    change(Change::RevokeKey { key: KeyId(id), owner: None })
}

fn rotate(id: u64, old: u8, new: u8) -> Command {
    change(Change::RotateSession {
        session: SessionId(id),
        old_hash: [old; 32],
        new_hash: [new; 32],
        at_ms: 10,
        expires_ms: 2_000_000,
    })
}

fn tables(cluster: &Cluster) -> Vec<&Identities> {
    cluster.shards.iter().map(|shard| shard.engine.identities()).collect()
}

#[track_caller]
fn assert_same_everywhere(cluster: &Cluster) {
    let tables = tables(cluster);
    assert!(tables.iter().all(|table| *table == tables[0]), "tables differ");
}

/// What of credentials was told since the last look.
fn ended(cluster: &mut Cluster) -> Vec<Ended> {
    let events = std::mem::take(&mut cluster.events).into_iter();
    let ended = events.filter_map(|event| match event {
        Event::CredentialEnded(ended) => Some(ended),
        _ => None,
    });
    ended.collect()
}

#[test]
fn a_revocation_is_answered_only_when_every_shard_has_it() {
    for_seeds("a_revocation_is_answered", 30, |seed| {
        let mut cluster = world(4, seed, Disk::Slow);
        let user = USERS[1];
        assert_eq!(
            cluster.call(change(Change::AddKey(key(7, user)))),
            Reply::Identity(Outcome::Key(KeyId(7)))
        );
        let token = cluster.submit(revoke(7));
        let mut late = 0;
        while !cluster.replies.contains_key(&token) {
            late += usize::from(tables(&cluster).iter().any(|table| table.key(KeyId(7)).is_some()));
            assert!(cluster.act(), "never answered");
        }
        assert!(late > 0, "nothing could go wrong");
        assert!(tables(&cluster).iter().all(|table| table.key(KeyId(7)).is_none()));
        // Durably: a crash brings it back nowhere.
        cluster.crash();
        cluster.settle();
        assert!(tables(&cluster).iter().all(|table| table.key(KeyId(7)).is_none()));
    });
}

#[test]
fn several_changes_at_once_come_in_one_order_everywhere() {
    for_seeds("several_changes_at_once", 20, |seed| {
        let mut cluster = world(3, seed, Disk::Slow);
        let mut rng = Rng::new(seed);
        for _ in 0..60 {
            let user = rng.pick(&USERS[..3]);
            let id = rng.below(12);
            cluster.submit(match rng.below(8) {
                0 => change(Change::AddKey(key(id, user))),
                1 => revoke(id),
                2 => role(user, rng.pick(&Role::ALL)),
                3 => password(user, &format!("hash-{id}")),
                4 => change(Change::OpenSession(session(rng.below(200), user))),
                5 => rotate(id, rng.below(12) as u8, rng.below(12) as u8),
                6 => change(Change::CloseSession { session: SessionId(id) }),
                _ => change(Change::CloseSessions { user }),
            });
            for _ in 0..rng.below(8) {
                cluster.act();
            }
            if rng.chance(5) {
                cluster.crash();
            }
        }
        cluster.settle();
        assert_same_everywhere(&cluster);
    });
}

#[test]
fn every_shard_tells_what_has_ended_though_nobody_watches() {
    let mut cluster = world(3, 1, Disk::None);
    let user = USERS[2];
    cluster.call(change(Change::AddKey(key(1, user))));
    for id in 0..=MAX_SESSIONS_PER_USER as u64 {
        cluster.call(change(Change::OpenSession(session(id, user))));
    }
    assert_eq!(ended(&mut cluster), [Ended::Session(SessionId(0)); 3]);
    cluster.call(revoke(1));
    assert_eq!(ended(&mut cluster), [Ended::Key(KeyId(1)); 3]);
    cluster.call(change(Change::CloseSession { session: SessionId(1) }));
    assert_eq!(ended(&mut cluster), [Ended::Session(SessionId(1)); 3]);
    assert_eq!(
        cluster.call(rotate(2, 99, 1)),
        Reply::Identity(Outcome::Reused { user }),
        "an old token"
    );
    assert_eq!(ended(&mut cluster), [Ended::Session(SessionId(2)); 3]);
    cluster.call(password(user, "hash"));
    assert_eq!(ended(&mut cluster), [Ended::User(user); 3]);
    cluster.call(role(user, Role::Admin));
    assert_eq!(ended(&mut cluster), []);
}

#[test]
fn a_refusal_changes_nothing_and_says_why() {
    let mut cluster = world(2, 1, Disk::Instant);
    let before: Vec<u64> = cluster.shards.iter().map(|shard| shard.engine.state_hash()).collect();
    let unknown = Reply::Refused(Refusal::Identity(identity::Refusal::UnknownKey));
    assert_eq!(cluster.call(revoke(5)), unknown);
    let after: Vec<u64> = cluster.shards.iter().map(|shard| shard.engine.state_hash()).collect();
    assert_eq!(before, after);
}

#[test]
fn images_and_changes_of_the_shard_count_keep_the_whole_table() {
    let mut cluster = world(3, 1, Disk::Instant);
    cluster.call(role(USERS[0], Role::Auditor));
    cluster.call(password(USERS[1], "hash"));
    for id in 0..5 {
        cluster.call(change(Change::AddKey(key(id, USERS[id as usize]))));
        cluster.call(change(Change::OpenSession(session(id, USERS[id as usize]))));
    }
    let before = tables(&cluster)[0].clone();
    assert_eq!(before.keys().count() + before.sessions().count() + before.users().count(), 12);
    for shards in [1, 4, 2] {
        cluster.reshard(shards);
        assert!(tables(&cluster).iter().all(|table| **table == before), "on {shards} shards");
        cluster.crash();
        assert!(tables(&cluster).iter().all(|table| **table == before), "after a crash");
    }
}

#[test]
fn an_open_question_survives_in_the_image_and_is_answered_to_nobody() {
    let mut cluster = world(2, 1, Disk::Instant);
    let token = cluster.submit(role(USERS[0], Role::Support));
    let shard = &cluster.shards[0].engine;
    let questions = shard.image().filter(|piece| matches!(piece, Piece::Questions(_)));
    assert_eq!(questions.count(), 1);
    assert_eq!(cluster::restored(shard.image(), 9).image().count(), shard.image().count());
    cluster.crash();
    cluster.settle();
    assert!(!cluster.replies.contains_key(&token));
    assert_same_everywhere(&cluster);
    assert_eq!(tables(&cluster)[1].role(USERS[0]), Role::Support);
}

#[test]
fn an_image_with_a_key_twice_is_refused() {
    let mut cluster = world(1, 1, Disk::Instant);
    cluster.call(change(Change::AddKey(key(1, USERS[0]))));
    let engine = &cluster.shards[0].engine;
    let config = engine::EngineConfig { shard: ShardId(0), shards: 1, hash_seed: 1 };
    let mut restore = Restore::new(config);
    let mut refused = false;
    for piece in engine.image() {
        let twice = matches!(piece, Piece::Keys(_)).then(|| piece.clone());
        restore.piece(piece).expect("sound");
        if let Some(twice) = twice {
            refused |= restore.piece(twice) == Err(engine::ImageError::Identity("a key"));
        }
    }
    assert!(refused);
}

#[test]
fn a_message_holds_the_decision_and_not_what_was_asked() {
    let mut cluster = world(2, 1, Disk::Instant);
    cluster.call(change(Change::OpenSession(session(1, USERS[0]))));
    cluster.submit(rotate(1, 77, 78));
    let first = cluster.shards[0].engine.confirmed(ShardId(1)) + 1;
    let batch = cluster.shards[0].engine.outgoing(ShardId(1), first, u64::MAX, 100, 0);
    let last = batch.messages.last().expect("on its way");
    let closed = Box::new(Change::CloseSession { session: SessionId(1) });
    assert!(matches!(last, Message::Identity { change, .. } if *change == closed), "{last:?}");
}

#[test]
fn users_are_listed_by_id_page_after_page() {
    let mut cluster = world(2, 1, Disk::Instant);
    let name = Some("somebody".to_owned());
    let user = UserId(40);
    cluster.call(Command::CreateUser { user: Some(user), shard: ShardId(0), name: name.clone() });
    cluster.call(Command::FreezeUser { user, frozen: true });
    let Reply::Account(view) = cluster.query(Query::User { user }) else { panic!() };
    assert_eq!((view.user, view.name, view.frozen), (user, name, true));
    let unknown = cluster.query(Query::User { user: UserId(41) });
    assert_eq!(unknown, Reply::Refused(Refusal::UnknownUser));
    let mut listed = Vec::new();
    let mut after = None;
    loop {
        let page = cluster.query(Query::Users { shard: ShardId(0), after, limit: 2 });
        let Reply::Accounts(page) = page else { panic!() };
        let Some(last) = page.last() else { break };
        after = Some(last.user);
        listed.extend(page.into_iter().map(|view| view.user.0));
    }
    let mut expected: Vec<u64> = USERS.iter().map(|user| user.0).filter(|id| id % 2 == 0).collect();
    expected.push(40);
    expected.sort_unstable();
    assert_eq!(listed, expected);
}
