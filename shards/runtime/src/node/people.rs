//! Passwords, sessions and keys: what takes longer than one question, and what a change ends.

use std::rc::Rc;
use std::time::Duration;

use engine::{Command, Query, Reply};
use gateway::auth::{Caller, Grant, Judge, Means, PasswordVerdict, SIGNATURE_AHEAD_MS};
use gateway::desk;
use gateway::native::{self, Code, PasswordAction, Then};
use gateway::ws::close_code;
use identity::{Change, Ended, KeyId, USED_STEP_MS};
use shard::Request;

use super::node::Node;
use super::outlet::Flush;
use super::waiting::{HttpWaiter, Waiter};
use crate::clock::CoarseClock;

/// How often a shard looks whether a password is hashed.
const HASH_POLL: Duration = Duration::from_millis(2);
/// How long it looks.
const HASH_LIMIT: Duration = Duration::from_secs(20);
/// Keys of which a shard remembers that it has told of their use. Past it all are forgotten.
const MAX_TOLD_KEYS: usize = 65_536;
/// What a connection is told whose key or session has ended.
const CREDENTIAL_ENDED: &str = "the key or session of this connection has ended";

impl Node {
    /// Waits until no signature is good any more that was good before the newest record: which of them were
    /// used died with the process before. In the development mode, where any header is believed, such are
    /// refused without waiting.
    pub(crate) async fn await_signatures(&self, newest_ms: u64) {
        let from_ms = newest_ms.saturating_add(SIGNATURE_AHEAD_MS).max(self.epoch);
        self.auth.signatures_from_ms.set(from_ms);
        let has_keys = self.shard.borrow().engine().identities().keys().next().is_some();
        if self.auth.is_development || !has_keys {
            return;
        }
        // A clock that was set back would make it wait for long; then signatures are refused instead.
        let left_ms = from_ms.saturating_sub(CoarseClock::new().now_ms()).min(SIGNATURE_AHEAD_MS);
        glommio::timer::sleep(Duration::from_millis(left_ms)).await;
    }

    /// What credentials are judged by, of somebody at an address.
    pub(super) fn with_judge<R>(
        &self,
        address: std::net::IpAddr,
        judge: impl FnOnce(&Judge<'_>) -> R,
    ) -> R {
        let shard = self.shard.borrow();
        judge(&Judge {
            auth: &self.auth,
            identities: shard.engine().identities(),
            address,
            now_ms: self.clock.now_ms(),
        })
    }

    /// Looks for a user before a command that is only for one that exists.
    pub(super) fn if_user(&self, http: HttpWaiter, user: money::UserId, command: Command) {
        let waiter = Waiter::IfUser { http, command: Box::new(command) };
        let token = self.waiting.insert(waiter);
        self.ask_request(token, Request::Query(Query::User { user }), None);
    }

    /// The user has been looked for.
    pub(super) fn user_found(&self, http: HttpWaiter, command: Command, reply: Reply) {
        match reply {
            Reply::Account(_) => {
                let token = self.waiting.insert(Waiter::Http(http));
                self.ask_request(token, Request::Command(command), None);
                self.turn.notify();
            }
            other => self.respond(http, &other),
        }
    }

    /// Begins something with a password.
    pub(super) fn begin_password(&self, http: HttpWaiter, action: Box<PasswordAction>) {
        if action.given.is_none() {
            let user = action.user;
            let token = self.waiting.insert(Waiter::IfUserPassword { http, action });
            return self.ask_request(token, Request::Query(Query::User { user }), None);
        }
        let per_minute = self.limits.logins_per_minute;
        let counted = self.throttle.login(action.user, per_minute, self.clock.now_ms());
        match counted {
            Ok(()) => self.hash_password(http, action),
            Err(retry_ms) => {
                let detail = "user_id: too many logins to this user";
                self.refuse_http(http, Code::RateLimited, detail, Some(retry_ms));
            }
        }
    }

    /// The user whose password is to be set has been looked for.
    pub(super) fn password_user_found(
        &self,
        http: HttpWaiter,
        action: Box<PasswordAction>,
        reply: Reply,
    ) {
        match reply {
            Reply::Account(_) if action.new.is_none() => self.password_right(http, *action, None),
            Reply::Account(_) => self.hash_password(http, action),
            other => self.respond(http, &other),
        }
    }

    fn hash_password(&self, http: HttpWaiter, action: Box<PasswordAction>) {
        let job = {
            let shard = self.shard.borrow();
            let known = shard.engine().identities().user(action.user);
            let kept = known.and_then(|known| known.password_hash.as_deref());
            let given = action.given.clone().map(|given| (given, kept));
            self.auth.password_job(given, action.new.clone(), |bytes| self.fill_random(bytes))
        };
        let Some(pending) = self.passwords.submit(job) else {
            let detail = "too many passwords are being checked, try again";
            return self.refuse_http(http, Code::Unavailable, detail, None);
        };
        let Some(node) = self.me.upgrade() else { return };
        glommio::spawn_local(async move {
            let since = std::time::Instant::now();
            loop {
                glommio::timer::sleep(HASH_POLL).await;
                if let Some(verdict) = pending.take() {
                    node.clock.turn();
                    node.password_judged(http, *action, verdict);
                    break;
                }
                if since.elapsed() > HASH_LIMIT {
                    let detail = "passwords cannot be checked now, try again";
                    node.refuse_http(http, Code::Unavailable, detail, None);
                    break;
                }
            }
            node.turn.notify();
        })
        .detach();
    }

    fn password_judged(&self, http: HttpWaiter, action: PasswordAction, verdict: PasswordVerdict) {
        match verdict {
            PasswordVerdict::Wrong => self.complete(http, desk::wrong_password),
            PasswordVerdict::Right { hash } => self.password_right(http, action, hash),
        }
    }

    fn password_right(&self, http: HttpWaiter, action: PasswordAction, hash: Option<String>) {
        let user = action.user;
        match action.then {
            Then::Login => {
                let random = |bytes: &mut [u8]| self.fill_random(bytes);
                let (grant, change) =
                    Grant::of_login(user, self.clock.now_ms(), &self.auth.secrets, random);
                self.grant(http, grant, change);
            }
            Then::Change(mut change) => {
                change.password_hash = hash;
                let command = Command::Identity(Box::new(Change::User(change)));
                let token = self.waiting.insert(Waiter::Http(http));
                self.ask_request(token, Request::Command(command), None);
                self.turn.notify();
            }
        }
    }

    /// Opens or refreshes a session; its client gets the tokens when every shard knows of it.
    pub(super) fn grant(&self, http: HttpWaiter, grant: Grant, change: Change) {
        let waiter = Waiter::Grant { http, grant: Box::new(grant) };
        let token = self.waiting.insert(waiter);
        self.ask_request(token, Request::Command(Command::Identity(Box::new(change))), None);
        self.turn.notify();
    }

    /// It is open, or not.
    pub(super) fn granted(&self, mut http: HttpWaiter, grant: &Grant, reply: Reply) {
        let Reply::Identity(outcome) = reply else { return self.respond(http, &reply) };
        if let (identity::Outcome::Opened { user, .. }, Some(note)) =
            (outcome, http.visit.note.as_mut())
        {
            note.set_user(user);
        }
        let shard = self.shard.borrow();
        let context = self.context(&shard);
        self.complete(http, |respond, out| {
            desk::respond_grant(respond, grant, outcome, &context, out);
        });
    }

    /// Answers that a request is not done after all.
    pub(super) fn refuse_http(
        &self,
        http: HttpWaiter,
        code: Code,
        detail: &str,
        retry_ms: Option<u64>,
    ) {
        self.complete(http, |respond, out| native::refuse(respond, code, detail, retry_ms, out));
    }

    /// Has the use of a key remembered, now and then.
    pub(super) fn tell_use(&self, caller: &Caller) {
        let Means::Key(key) = caller.means else { return };
        let now_ms = self.clock.now_ms();
        let is_news = {
            let shard = self.shard.borrow();
            let known = shard.engine().identities().key(key);
            known.is_some_and(|known| {
                known.used_ms.is_none_or(|used_ms| now_ms >= used_ms + USED_STEP_MS)
            })
        };
        if !is_news || !self.is_first_use(key, now_ms) {
            return;
        }
        let command = Command::Identity(Box::new(Change::KeyUsed { key, at_ms: now_ms }));
        let token = self.waiting.insert(Waiter::Nobody);
        self.ask_request(token, Request::Command(command), None);
        self.turn.notify();
    }

    /// Whether this shard has not told of it already, and only waits until it comes back.
    fn is_first_use(&self, key: KeyId, now_ms: u64) -> bool {
        let mut told = self.told_keys.borrow_mut();
        if told.get(&key).is_some_and(|&at_ms| now_ms < at_ms + USED_STEP_MS) {
            return false;
        }
        if told.len() >= MAX_TOLD_KEYS {
            told.clear();
        }
        told.insert(key, now_ms);
        true
    }

    /// Ends the connections that have come in by what has ended. This shard has applied it durably and
    /// not yet said so: when the client that asked for it is answered, nobody is left.
    pub(super) fn end_credential(&self, ended: Ended) {
        let concerned: Vec<Rc<super::socket::Socket>> = self
            .sockets
            .borrow()
            .iter()
            .filter(|(_, socket)| is_of(&socket.caller(), ended))
            .map(|(_, socket)| socket.clone())
            .collect();
        for socket in concerned {
            socket.close(close_code::POLICY, CREDENTIAL_ENDED);
            socket.flush();
        }
    }

    /// Who speaks on a connection now; `None`: its key or session has ended, and so has it.
    pub(super) fn caller_now(&self, socket: &Rc<super::socket::Socket>) -> Option<Caller> {
        let caller = socket.caller();
        if matches!(caller.means, Means::Nobody | Means::AdminToken) {
            return Some(caller);
        }
        let now = {
            let shard = self.shard.borrow();
            caller.again(shard.engine().identities(), self.clock.now_ms())
        };
        if now.is_none() {
            socket.close(close_code::POLICY, CREDENTIAL_ENDED);
            self.soil(socket);
        }
        now
    }

    /// Forgets budgets that are whole, and signatures that are old. Called about once a second.
    pub(super) fn tidy_guard(&self) {
        let shard = self.shard.borrow();
        let identities = shard.engine().identities();
        self.guard.tidy(&self.limits, identities, self.clock.now_ms());
    }

    pub(super) fn fill_random(&self, bytes: &mut [u8]) {
        use ring::rand::{SecureRandom, SystemRandom};
        if SystemRandom::new().fill(bytes).is_err() {
            // Secrets that can be guessed are worse than none.
            self.fatal(&"the system gives no random bytes");
        }
    }
}

fn is_of(caller: &Caller, ended: Ended) -> bool {
    match (caller.means, ended) {
        (Means::Key(key), Ended::Key(other)) => key == other,
        (Means::Session(session), Ended::Session(other)) => session == other,
        (Means::Session(_), Ended::User(user)) => caller.user == Some(user),
        _ => false,
    }
}
