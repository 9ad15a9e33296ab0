use super::*;
use crate::auth::{Secret, Secrets};
use identity::{Change, Identities, SessionRecord};

const NOW_MS: u64 = 1_700_000_000_000;
const SESSION: SessionId = SessionId(9);
const USER: UserId = UserId(1001);

fn open() -> Identities {
    let mut identities = Identities::default();
    let record = SessionRecord {
        session: SESSION,
        user: USER,
        token_hash: [0; 32],
        opened_ms: NOW_MS,
        expires_ms: NOW_MS + 1,
    };
    let (change, _) = identities.decide(&Change::OpenSession(record)).unwrap();
    identities.apply(&change, &mut Vec::new());
    identities
}

fn judge<'a>(auth: &'a Auth, identities: &'a Identities, now_ms: u64) -> Judge<'a> {
    Judge { auth, identities, address: std::net::Ipv4Addr::LOCALHOST.into(), now_ms }
}

fn encode(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

#[test]
fn a_token_names_its_user_until_it_expires() {
    let (auth, identities) = (Auth::development(), open());
    let token = auth.access_token(USER, SESSION, NOW_MS);
    let caller = auth.caller_of_token(&judge(&auth, &identities, NOW_MS), &token).unwrap();
    assert_eq!((caller.user, caller.means), (Some(USER), Means::Session(SESSION)));
    let late = judge(&auth, &identities, NOW_MS + ACCESS_TOKEN_LIFE_MS);
    assert_eq!(auth.caller_of_token(&late, &token), Err(AuthError::Token));
}

#[test]
fn a_token_of_an_ended_session_or_another_user_is_refused() {
    let (auth, identities) = (Auth::development(), open());
    let nobody = Identities::default();
    let token = auth.access_token(USER, SESSION, NOW_MS);
    assert!(auth.caller_of_token(&judge(&auth, &nobody, NOW_MS), &token).is_err());
    let other = auth.access_token(UserId(1002), SESSION, NOW_MS);
    assert!(auth.caller_of_token(&judge(&auth, &identities, NOW_MS), &other).is_err());
}

#[test]
fn a_forged_token_is_refused() {
    let (auth, identities) = (Auth::development(), open());
    let token = auth.access_token(USER, SESSION, NOW_MS);
    let [head, claims, tag] = token.split('.').collect::<Vec<_>>()[..] else { panic!("{token}") };
    let thief =
        Auth { secrets: Secrets::new(&[Secret::from_bytes([8; 32])]), ..Auth::development() };
    let none = encode("{\"alg\":\"none\",\"typ\":\"JWT\"}");
    let admin = encode("{\"sub\":\"1\",\"sid\":\"0000000000000009\",\"exp\":99999999999}");
    let with_own_key = thief.access_token(USER, SESSION, NOW_MS);
    let own_tag = with_own_key.rsplit_once('.').unwrap().1;
    for forged in [
        format!("{none}.{claims}."),
        format!("{none}.{claims}.{tag}"),
        format!("{head}.{claims}."),
        format!("{head}.{claims}"),
        format!("{head}.{admin}.{tag}"),
        format!("{head}.{claims}.{own_tag}"),
        with_own_key.clone(),
        format!("{token}A"),
        format!("{token}.{tag}"),
        token.to_uppercase(),
        "..".to_owned(),
        String::new(),
        "x".repeat(100_000),
    ] {
        let judged = auth.caller_of_token(&judge(&auth, &identities, NOW_MS), &forged);
        assert_eq!(judged, Err(AuthError::Token), "{forged}");
    }
}

#[test]
fn a_token_of_a_former_secret_goes_on() {
    let (auth, identities) = (Auth::development(), open());
    let token = auth.access_token(USER, SESSION, NOW_MS);
    let secrets = Secrets::new(&[Secret::from_bytes([8; 32]), Secret::from_bytes([7; 32])]);
    let later = Auth { secrets, ..Auth::development() };
    assert!(later.caller_of_token(&judge(&later, &identities, NOW_MS), &token).is_ok());
}
