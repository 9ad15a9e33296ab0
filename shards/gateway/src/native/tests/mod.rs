//! The dialect against a real engine of one shard: requests as text in, answers as text out.

mod answers;
mod bad_calls;
mod bad_orders;
mod push;
mod routes;
mod sessions;
mod upgrade;
mod ws;

use engine::{Command, Effects, Engine, EngineConfig, Input, Origin, Query, Reply};
use money::{Placement, ShardId, UserId};
use serde_json::Value;

use super::{
    Action, Context, Gather, Granting, PasswordAction, Ports, Serving, SessionKind, SessionReport,
    ShardReport, SnapshotReport, SnapshotState, Then, World, resolve, respond, respond_session,
    respond_sessions, respond_shards, respond_text,
};
use crate::auth::{Auth, Caller};
use crate::auth::{Grant, PasswordVerdict};
use crate::desk::{self, Health, respond_health};
use crate::http::Connection;
use crate::middleware::Limits;

/// The time of everything, in ms.
pub(crate) const NOW_MS: u64 = 1_700_000_000_000;

/// A server without sockets.
pub(crate) struct Exchange {
    pub engine: Engine,
    pub auth: Auth,
    pub(crate) ports: Ports,
    pub serving: Serving,
    pub limits: Limits,
}

impl World for Exchange {
    fn random(&self, bytes: &mut [u8]) {
        bytes.fill(0xab);
    }

    fn admit_address(&self, _: std::net::IpAddr, _: u32) -> Result<(), u64> {
        Ok(())
    }
}

/// An answer taken apart.
#[derive(Debug)]
pub(crate) struct Answered {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answered {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub fn data(&self) -> Value {
        let json = self.json();
        assert_eq!((&json["code"], &json["msg"]), (&0.into(), &"ok".into()), "{}", self.body);
        json["data"].clone()
    }

    /// Status, code and message of an error.
    pub(crate) fn error(&self) -> (u16, u64, String) {
        let json = self.json();
        assert!(json["data"].is_null(), "{}", self.body);
        let code = json["code"].as_u64().unwrap();
        (self.status, code, json["msg"].as_str().unwrap().to_owned())
    }
}

/// The one connection that is open.
fn session() -> SessionReport {
    SessionReport {
        id: 0x0200_0000_0000_002a,
        shard: ShardId(1),
        kind: SessionKind::Native,
        user: Some(UserId(1001)),
        address: std::net::Ipv4Addr::LOCALHOST.into(),
        opened_ms: NOW_MS,
    }
}

impl Exchange {
    /// Nothing but development auth.
    fn empty() -> Exchange {
        let config = EngineConfig { shard: ShardId(0), shards: 1, hash_seed: 1 };
        let ports = Ports { shared: 8080, per_shard: vec![8081] };
        Exchange {
            engine: Engine::new(config),
            auth: Auth::development(),
            ports,
            serving: Serving::Ready,
            limits: Limits::OFF,
        }
    }

    /// Two markets, users 1001 (rich in USDT) and 1002 (rich in BTC).
    pub fn open() -> Exchange {
        let mut exchange = Exchange::empty();
        for (path, body) in [
            ("assets", r#"{"asset":"BTC","decimals":8}"#),
            ("assets", r#"{"asset":"USDT","decimals":2}"#),
            ("assets", r#"{"asset":"ESH4","decimals":0}"#),
            (
                "symbols",
                r#"{"symbol":"BTC_USDT","base":"BTC","quote":"USDT","tick":"0.01","lot":"0.0001","min_notional":"1","max_qty":"1000"}"#,
            ),
            (
                "symbols",
                r#"{"symbol":"ESH4_USDT","base":"ESH4","quote":"USDT","tick":0.25,"lot":1,"price_band_ppm":100000,"reference_price":"4800"}"#,
            ),
            ("users", r#"{"user_id":1001,"name":"taker"}"#),
            ("users", r#"{"user_id":1002}"#),
            ("deposits", r#"{"user_id":1001,"asset":"USDT","amount":"100000","ref":"a"}"#),
            ("deposits", r#"{"user_id":1002,"asset":"BTC","amount":"10","ref":"b"}"#),
        ] {
            let answered = exchange.admin("POST", path, body);
            assert_eq!(answered.status, 200, "{path} {body}: {}", answered.body);
        }
        exchange
    }

    pub fn context(&self) -> Context<'_> {
        Context {
            registry: self.engine.registry(),
            placement: Placement::new(1),
            shard: ShardId(0),
            auth: &self.auth,
            identities: self.engine.identities(),
            now_ms: NOW_MS,
            limits: &self.limits,
            world: self,
            ports: &self.ports,
            serving: self.serving,
        }
    }

    /// Who a user is, or nobody, as the development mode believes.
    pub(crate) fn caller(&self, user: Option<UserId>) -> Caller {
        let known = user.map(|user| Caller::development(user, self.engine.identities()));
        known.unwrap_or(Caller::NOBODY)
    }

    pub(crate) fn apply(&mut self, input: Input) -> Reply {
        let mut effects = Effects::default();
        let origin = Origin { shard: ShardId(0), token: 0 };
        let _ = self.engine.step(NOW_MS, &input, Some(origin), &mut effects);
        effects.replies.pop().expect("a shard alone answers at once").1
    }

    pub(crate) fn perform(&mut self, action: Action) -> Vec<u8> {
        let mut out = Vec::new();
        match action {
            Action::Answer(answer) => return answer.bytes,
            Action::Upgrade(upgrade) => return upgrade.answer,
            Action::EventStream(stream) => return stream.head,
            Action::Health { respond } => {
                let health = Health { uptime_ms: 12_345, resident_bytes: 4_096 };
                respond_health(&respond, &health, &self.context(), &mut out);
            }
            Action::Sessions { filter, respond } => {
                let open = [session()];
                let listed: Vec<_> = open.into_iter().filter(|one| filter.wants(one)).collect();
                respond_sessions(&respond, &[0, 1, 0, 0, 0, 0], &listed, &mut out);
            }
            Action::Session { id, respond, .. } => {
                let open = session();
                let found = (open.id == id).then_some(&open);
                respond_session(&respond, found, &mut out);
            }
            Action::Metrics { respond } => respond_text(&respond, "text/plain", b"x 1\n", &mut out),
            Action::Command { command, respond: how, repeat_while_more } => {
                let mut sum = 0;
                let reply = loop {
                    match self.apply(Input::Command(command.clone())) {
                        Reply::CanceledAll { count, more } => {
                            sum += count;
                            if !(more && repeat_while_more) {
                                break Reply::CanceledAll { count: sum, more: false };
                            }
                        }
                        other => break other,
                    }
                };
                respond(&how, &reply, &self.context(), &mut out);
            }
            Action::Query { query, respond: mut how } => {
                how.stamp(NOW_MS);
                respond(&how, &self.engine.query(&query), &self.context(), &mut out);
            }
            Action::Resolve { query, pending } => {
                let next = resolve(&pending, &self.engine.query(&query), &self.context());
                return self.perform(next);
            }
            Action::Gather { gather: gather @ Gather::CancelAll { .. }, respond: how } => {
                let reply = self.apply(Input::Command(gather.command(ShardId(0)).unwrap()));
                respond(&how, &reply, &self.context(), &mut out);
            }
            Action::Gather {
                gather: gather @ (Gather::Users { .. } | Gather::Withdrawals { .. }),
                respond: how,
            } => {
                let query = gather.query(ShardId(0)).expect("is a question");
                respond(&how, &self.engine.query(&query), &self.context(), &mut out);
            }
            Action::IfUser { user, command, respond: how } => {
                let found = self.engine.query(&Query::User { user });
                let reply = match found {
                    Reply::Account(_) => self.apply(Input::Command(command)),
                    refused => refused,
                };
                respond(&how, &reply, &self.context(), &mut out);
            }
            Action::Password(asked) => return self.password(*asked),
            Action::Grant(granting) => {
                let command = Command::Identity(Box::new(granting.change));
                match self.apply(Input::Command(command)) {
                    Reply::Identity(outcome) => {
                        let (how, grant) = (granting.respond, granting.grant);
                        desk::respond_grant(&how, &grant, outcome, &self.context(), &mut out);
                    }
                    other => respond(&granting.respond, &other, &self.context(), &mut out),
                }
            }
            Action::Audit { respond: how, .. } => desk::respond_audit(&how, b"{}", &mut out),
            Action::Gather {
                gather: gather @ (Gather::Shards | Gather::BeginSnapshots),
                respond: how,
            } => {
                let state = match gather {
                    Gather::BeginSnapshots => SnapshotState::Waiting,
                    _ => SnapshotState::Idle,
                };
                let report = ShardReport {
                    shard: ShardId(0),
                    status: self.engine.status(),
                    appended_lsn: 7,
                    durable_lsn: 6,
                    snapshot: SnapshotReport {
                        state,
                        made: 3,
                        lsn: Some(5),
                        created_ms: Some(1_700_000_000_000),
                        bytes: None,
                        took_ms: None,
                        failure: Some("no \"space\"".to_owned()),
                    },
                    outbox_depth: 0,
                    held_effects: 1,
                    requests_in_flight: 2,
                };
                respond_shards(&how, &[report], &mut out);
            }
        }
        out
    }

    /// What the runtime does on a thread of its own.
    fn password(&mut self, asked: PasswordAction) -> Vec<u8> {
        let PasswordAction { user, given, new, then, respond: how } = asked;
        let random = |bytes: &mut [u8]| self.random(bytes);
        let known = self.engine.identities().user(user);
        let kept = known.and_then(|known| known.password_hash.clone());
        let given = given.map(|given| (given, kept.as_deref()));
        let mut out = Vec::new();
        let PasswordVerdict::Right { hash } = self.auth.password_job(given, new, random).run()
        else {
            desk::wrong_password(&how, &mut out);
            return out;
        };
        match then {
            Then::Login => {
                let (grant, change) = Grant::of_login(user, NOW_MS, &self.auth.secrets, random);
                self.perform(Action::Grant(Box::new(Granting { change, grant, respond: how })))
            }
            Then::Change(mut change) => {
                change.password_hash = hash;
                let command = Command::Identity(Box::new(identity::Change::User(change)));
                let (respond, repeat_while_more) = (how, false);
                self.perform(Action::Command { command, respond, repeat_while_more })
            }
        }
    }

    /// Sends whole HTTP.
    pub fn send(&mut self, text: &str) -> Answered {
        let mut connection = Connection::new();
        assert_eq!(connection.feed(text.as_bytes()), text.len());
        let request = connection.next_request().expect("accepted").expect("whole");
        let address = std::net::Ipv4Addr::LOCALHOST.into();
        let action = crate::enter(&request, &self.context(), address).action;
        let answered = self.perform(action);
        let text = String::from_utf8(answered).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer has a head");
        let status = head[9..12].parse().unwrap();
        Answered { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub fn call(&mut self, method: &str, target: &str, headers: &str, body: &str) -> Answered {
        self.send(&format!(
            "{method} {target} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    /// As user 1001.
    pub fn taker(&mut self, method: &str, route: &str, body: &str) -> Answered {
        self.call(method, &format!("/api/v1/{route}"), "X-User-ID: 1001\r\n", body)
    }

    /// As user 1002.
    pub fn maker(&mut self, method: &str, route: &str, body: &str) -> Answered {
        self.call(method, &format!("/api/v1/{route}"), "X-User-ID: 1002\r\n", body)
    }

    pub fn admin(&mut self, method: &str, route: &str, body: &str) -> Answered {
        let target = format!("/api/v1/admin/{route}");
        self.call(method, &target, "X-Admin-Token: dev-admin\r\n", body)
    }

    fn public(&mut self, route: &str) -> Answered {
        self.call("GET", &format!("/api/v1/{route}"), "", "")
    }
}
