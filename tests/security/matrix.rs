//! Every route × every role × every credential.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::forge::{Forge, session_of};
use super::routes::{ROUTES, Row};
use super::stand::{ALICE, BOB, Key, NO_LIMITS, ORDER, Stand, bearer, now_ms, order};
use crate::support::http::{Answer, Client};
use crate::support::websocket::Socket;
use crate::support::{LIMIT, wait_for};

const ROLES: [&str; 5] = ["USER", "MARKET_MAKER", "SUPPORT", "AUDITOR", "ADMIN"];
/// The user of the first role; the others follow.
const FIRST_PERSON: u64 = 2001;
/// Of whom nothing is asked but a session that goes on.
const LODGER: u64 = 1003;
/// Every permission.
pub const ALL: [&str; 4] = ["read", "trade", "withdraw", "admin"];
/// What makes a request one for a WebSocket.
pub const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Without limits, and to this machine the metrics are shown as to any other.
pub fn open() -> Stand {
    Stand::open(&[&NO_LIMITS[..], &["--metrics-from", "192.0.2.0/24"]].concat())
}

/// What is shown with a request.
enum Credential {
    Headers(String),
    Key(Key),
}

impl Credential {
    fn headers(&self, method: &str, path: &str, body: &str) -> String {
        match self {
            Credential::Headers(headers) => headers.clone(),
            Credential::Key(key) => key.sign(method, path, body),
        }
    }

    fn is_key(&self) -> bool {
        matches!(self, Credential::Key(_))
    }
}

/// A user of one role with everything that it ever had to show.
struct Person {
    user: u64,
    role: usize,
    good: Vec<(&'static str, Credential)>,
    bad: Vec<(&'static str, Credential)>,
    order: u64,
    key: String,
}

impl Person {
    /// Everything is made while it is a user like any other, so that its own order can be asked for
    /// whatever its role may then.
    fn new(stand: &Stand, forge: &Forge, role: usize) -> Person {
        let user = FIRST_PERSON + role as u64;
        stand.add_user(user);
        let permissions = json!({"permissions": ALL});
        let short = json!({"permissions": ALL, "expires_in_s": 1});
        let hmac = stand.key(user, permissions.clone());
        let hmac_wrong = Key::guessed(&hmac.id);
        let ed25519 = stand.ed25519_key(user, permissions.clone());
        let ed25519_wrong =
            Key { id: ed25519.id.clone(), secret: stand.ed25519_key(ALICE, json!({})).secret };
        let revoked =
            [stand.key(user, permissions.clone()), stand.ed25519_key(user, permissions.clone())];
        revoked.iter().for_each(|key| stand.revoke(key));
        let [hmac_revoked, ed25519_revoked] = revoked;

        let session = stand.login(user);
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let own = text(&session["refresh_token"]);
        let now_s = now_ms() / 1_000;
        let token = |user, until_s| bearer(&forge.until(user, session_of(&own), until_s).into());
        // What else is forged differs from this in one thing only.
        let forged = Credential::Headers(token(user, now_s + 900));
        let expired = Credential::Headers(token(user, now_s - 1));
        let another = Credential::Headers(token(user + 1, now_s + 900));
        let ended = stand.bearer(user);
        assert_eq!(stand.at(0).call_with("POST", "/api/auth/logout", &ended, "").status, 200);

        let good = vec![
            ("HMAC", Credential::Key(hmac)),
            ("Ed25519", Credential::Key(ed25519)),
            ("JWT", Credential::Headers(bearer(&session["access_token"]))),
            ("forged JWT", forged),
        ];
        let bad = vec![
            ("wrong HMAC", Credential::Key(hmac_wrong)),
            ("expired HMAC", Credential::Key(stand.key(user, short.clone()))),
            ("revoked HMAC", Credential::Key(hmac_revoked)),
            ("wrong Ed25519", Credential::Key(ed25519_wrong)),
            ("expired Ed25519", Credential::Key(stand.ed25519_key(user, short))),
            ("revoked Ed25519", Credential::Key(ed25519_revoked)),
            ("JWT of another", another),
            ("expired JWT", expired),
            ("revoked JWT", Credential::Headers(ended)),
            ("a user's word", Credential::Headers(format!("X-User-ID: {user}\r\n"))),
        ];
        let key = stand.key(user, json!({})).id;
        let mut person = Person { user, role, good, bad, order: 0, key };
        person.order = person.place(stand);
        stand.set(user, json!({"role": ROLES[role]}));
        person
    }

    fn place(&self, stand: &Stand) -> u64 {
        let (_, credential) = &self.good[0];
        let body = order(&format!("m{}", next()));
        let headers = credential.headers("POST", ORDER, &body);
        let answer = stand.at(0).call_with("POST", ORDER, &headers, &body);
        answer.data()["order_id"].as_u64().expect("an id")
    }
}

fn next() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The people, and what their requests name.
struct Matrix {
    stand: Stand,
    people: Vec<Person>,
    /// A connection that may be looked at and ended, with its number.
    victim: (Socket, String),
    /// The chain of refresh tokens.
    refresh_token: String,
}

impl Matrix {
    fn open() -> Matrix {
        let stand = open();
        let secret = std::fs::read_to_string(stand.secret_file()).expect("the secret");
        let forge = Forge::new(&secret);
        let people = (0..ROLES.len()).map(|role| Person::new(&stand, &forge, role)).collect();
        let victim = open_victim(&stand);
        stand.add_user(LODGER);
        let refresh_token = stand.login(LODGER)["refresh_token"].as_str().expect("text").to_owned();
        std::thread::sleep(Duration::from_millis(1_100)); // Keys that expire do so within 1 s.
        Matrix { stand, people, victim, refresh_token }
    }

    /// The first use of a key is journaled once, behind its answer, and is not what is looked for.
    fn use_all_keys(&self) {
        for person in &self.people {
            let mut ids = Vec::new();
            for (kind, credential) in &person.good {
                let answer = self.ask(&ROUTES[0], "/api/v1/me", "", Some(credential));
                assert_eq!(answer.status, 200, "{kind} of {}: {answer}", ROLES[person.role]);
                if let Credential::Key(key) = credential {
                    ids.push(&key.id);
                }
            }
            let path = format!("/api/auth/keys?user_id={}", person.user);
            wait_for("the uses of keys to be noted", LIMIT, || {
                let keys = self.stand.signed(&self.stand.admin, "GET", &path, "").json();
                let keys = keys["items"].as_array().expect("keys").clone();
                let is_used = |key: &Value| {
                    key["last_used_ts_ns"].is_u64() && ids.iter().any(|&id| key["api_key"] == *id)
                };
                (keys.iter().filter(|key| is_used(key)).count() == ids.len()).then_some(())
            });
        }
    }

    fn ask(&self, row: &Row, path: &str, body: &str, credential: Option<&Credential>) -> Answer {
        let bare = path.split('?').next().unwrap_or_default();
        let upgrades = ["/ws", "/orders", "/market-data", "/user-data"].contains(&bare);
        let mut headers = credential
            .map_or_else(String::new, |credential| credential.headers(row.method, path, body));
        headers += if upgrades { UPGRADE } else { "" };
        let mut client: Client = self.stand.at((next() % 2) as u16);
        let mut answer = client.call_with(row.method, path, &headers, body);
        if !answer.body.starts_with(b"{") {
            answer.body.clear(); // Nobody wants to read all metrics in the message of a failed test.
        }
        answer
    }

    /// The row's request in the name of a person, about things that are there already.
    fn attempt(&self, row: &Row, person: &Person) -> (String, String) {
        let fill = |text: &str| {
            text.replace("{n}", &next().to_string())
                .replace("{order}", &person.order.to_string())
                .replace("{asset}", "BTC")
                .replace("{withdrawal}", "waiting")
                .replace("{key}", &person.key)
                .replace("{refresh}", &self.refresh_token)
                .replace("{session}", &self.victim.1)
        };
        (fill(row.path), fill(row.body))
    }

    /// The same about things that are there for this request, so that it can be done.
    fn prepared(&mut self, row: &Row, person: usize) -> (String, String) {
        let asks = |what: &str| row.path.contains(what) || row.body.contains(what);
        let stand = &self.stand;
        if asks("{order}") {
            let is_trader = row.roles[person] != 403 && [0, 1, 4].contains(&person);
            if is_trader {
                self.people[person].order = self.people[person].place(stand);
            }
        }
        if asks("{key}") {
            self.people[person].key = stand.key(self.people[person].user, json!({})).id;
        }
        if asks("{session}") && row.method == "DELETE" {
            self.victim = open_victim(stand);
        }
        let (path, mut body) = self.attempt(row, &self.people[person]);
        if asks("{asset}") {
            let asset = format!("S{}", next());
            self.stand.administer("assets", json!({"asset": asset, "decimals": 0}));
            body = row.body.replace("{asset}", &asset);
        }
        if asks("{withdrawal}") {
            body = row
                .body
                .replace("{withdrawal}", &ask_withdrawal(&self.stand, &format!("a{}", next())));
        }
        (path, body)
    }

    /// Puts back what a request has used up.
    fn mend(&mut self, row: &Row, person: usize, answer: &Answer) {
        if row.path == "/api/auth/refresh" && answer.status == 200 {
            self.refresh_token = answer.json()["refresh_token"].as_str().expect("text").to_owned();
        }
        let ends_session = ["/api/auth/logout", "/api/auth/password"].contains(&row.path);
        if ends_session && answer.status == 200 {
            let headers = self.stand.bearer(self.people[person].user);
            for (kind, credential) in &mut self.people[person].good {
                if kind.ends_with("JWT") {
                    *credential = Credential::Headers(headers.clone());
                }
            }
        }
    }
}

fn open_victim(stand: &Stand) -> (Socket, String) {
    let sessions = || {
        let listed = stand.look("sessions?kind=WS");
        let listed = listed["sessions"].as_array().expect("sessions").clone();
        listed.iter().map(|one| one["session_id"].as_str().expect("text").to_owned()).collect()
    };
    let before: BTreeSet<String> = sessions();
    let socket = Socket::anonymous(stand.server.shard_port(1));
    let after: BTreeSet<String> = sessions();
    let new = after.difference(&before).next().expect("one more").clone();
    (socket, new)
}

/// A withdrawal of Bob's that waits.
fn ask_withdrawal(stand: &Stand, reference: &str) -> String {
    let body = json!({"asset":"USDT","amount":"1","ref":reference}).to_string();
    let answer = stand.at(0).call_with("POST", "/api/v1/withdrawals", &stand.bearer(BOB), &body);
    assert_eq!(answer.status, 202, "{answer}");
    reference.to_owned()
}

/// Who may not is refused, whatever it shows, and nothing of it is journaled.
fn refuse_all(matrix: &Matrix) {
    ask_withdrawal(&matrix.stand, "waiting");
    matrix.use_all_keys();
    let before = matrix.stand.journaled();
    let mut asked = 0;
    for row in ROUTES {
        let mut expect =
            |what: &str, person: &Person, credential: Option<&Credential>, status: u16| {
                let (path, body) = matrix.attempt(row, person);
                let answer = matrix.ask(row, &path, &body, credential);
                let role = ROLES[person.role];
                assert_eq!(
                    answer.status, status,
                    "{what} of {role}: {} {path} {body}: {answer}",
                    row.method
                );
                asked += 1;
            };
        if row.nobody == 401 {
            expect("nothing", &matrix.people[0], None, 401);
            let word = Credential::Headers("X-Admin-Token: dev-admin\r\n".to_owned());
            expect("an administrator's word", &matrix.people[4], Some(&word), 401);
        }
        for person in &matrix.people {
            if row.bad == 401 {
                for (kind, credential) in &person.bad {
                    expect(kind, person, Some(credential), 401);
                }
            }
            if row.roles[person.role] == 403 {
                for (kind, credential) in &person.good {
                    expect(kind, person, Some(credential), 403);
                }
            }
        }
    }
    assert!(asked > 3_000, "{asked}");
    assert_eq!(
        matrix.stand.journaled(),
        before,
        "something that was refused has changed something"
    );
}

/// Who may is answered as the table says.
fn allow_all(matrix: &mut Matrix) {
    for row in ROUTES {
        for (place, role) in ROLES.iter().enumerate() {
            for kind in 0..matrix.people[place].good.len() {
                if row.roles[place] == 403 {
                    continue;
                }
                let (path, body) = matrix.prepared(row, place);
                let (name, credential) = &matrix.people[place].good[kind];
                let status = row.keys.filter(|_| credential.is_key()).unwrap_or(row.roles[place]);
                let answer = matrix.ask(row, &path, &body, Some(credential));
                assert_eq!(
                    answer.status, status,
                    "{name} of {role}: {} {path} {body}: {answer}",
                    row.method
                );
                matrix.mend(row, place, &answer);
            }
        }
        // Where it does not matter what is shown, what is bad does no harm.
        if row.nobody != 401 {
            let (path, body) = matrix.prepared(row, 0);
            let answer = matrix.ask(row, &path, &body, None);
            assert_eq!(answer.status, row.nobody, "nothing: {} {path}: {answer}", row.method);
            matrix.mend(row, 0, &answer);
        }
        for kind in 0..matrix.people[0].bad.len() {
            if row.bad == 401 {
                break;
            }
            let (path, body) = matrix.prepared(row, 0);
            let (name, credential) = &matrix.people[0].bad[kind];
            let answer = matrix.ask(row, &path, &body, Some(credential));
            assert_eq!(answer.status, row.bad, "{name}: {} {path}: {answer}", row.method);
            matrix.mend(row, 0, &answer);
        }
    }
}

#[test]
fn every_route_answers_every_role_and_credential_as_the_table_says() {
    let mut matrix = Matrix::open();
    refuse_all(&matrix);
    allow_all(&mut matrix);
}
