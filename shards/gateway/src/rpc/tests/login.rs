//! `auth.login` and `auth.jwt`.

use money::UserId;

use super::{Endpoint, TAKER, exchange, read, text, told};
use crate::auth::Shown;
use crate::native::tests::Exchange;
use crate::rpc::{ClientMessage, MAX_API_KEY_BYTES, Tag, login_failed, login_success};

fn login(exchange: &Exchange, message: &str, user: Option<UserId>) -> (Shown, Tag) {
    match read(message, Endpoint::UserData, &exchange.context(), &exchange.caller(user)) {
        Ok(ClientMessage::Login { shown, tag }) => (shown, tag),
        other => panic!("{message}: {other:?}"),
    }
}

#[test]
fn a_login_is_answered_to_the_letter() {
    let exchange = exchange();
    let message = r#"{"method":"auth.login","params":{"api_key":"1001","api_secret":"x"},"id":1}"#;
    let (credential, tag) = login(&exchange, message, None);
    assert_eq!(credential, Shown::User(UserId(1001)));
    let caller = exchange.caller(TAKER);
    assert_eq!(
        text(|out| login_success(&tag, &caller, &exchange.context(), out)),
        r#"{"id":1,"result":{"authenticated":true,"user_id":1001,"permissions":["read","trade","withdraw","admin"],"rate_limits":{"orders_per_second":0,"market_data_per_second":1000,"burst_limit":0}}}"#
    );
    assert_eq!(
        text(|out| login_failed(&tag, "api_key: unknown", out)),
        r#"{"id":1,"error":{"code":40101,"message":"not authenticated","details":{"field":"api_key","issue":"unknown"}}}"#
    );
    let token = r#"{"method":"auth.jwt","params":{"token":"a.b"},"id":1}"#;
    let (_, tag) = login(&exchange, token, None);
    assert_eq!(
        text(|out| login_failed(&tag, "has expired", out)),
        r#"{"id":1,"error":{"code":40101,"message":"not authenticated","details":{"field":"token","issue":"has expired"}}}"#
    );
}

#[test]
fn a_user_id_is_believed_in_development_mode_only() {
    let mut exchange = exchange();
    let number = r#"{"method":"auth.login","params":{"api_key":1001}}"#;
    assert_eq!(login(&exchange, number, None).0, Shown::User(UserId(1001)));
    let text = r#"{"method":"auth.login","params":{"api_key":"1001","api_secret":"x"}}"#;
    exchange.auth.is_development = false;
    let (credential, _) = login(&exchange, text, None);
    assert!(matches!(&credential, Shown::Secret { key, secret }
        if key == "1001" && secret.reveal() == "x"));
    assert!(!format!("{credential:?}").contains("\"x\""));
    let answer = told(&mut exchange, Endpoint::Orders, number, None);
    assert!(answer.contains(r#""field":"api_key","issue":"must be text""#), "{answer}");
}

#[test]
fn a_connection_keeps_its_user() {
    let mut exchange = exchange();
    let say = |key: &str| {
        let secret = r#""api_secret":"x""#;
        format!(r#"{{"method":"auth.login","params":{{"api_key":{key},{secret}}},"id":1}}"#)
    };
    assert_eq!(login(&exchange, &say("1001"), TAKER).0, Shown::User(UserId(1001)));
    let answer = told(&mut exchange, Endpoint::Orders, &say("1002"), TAKER);
    assert!(answer.contains("40001") && answer.contains("logged in already"), "{answer}");
}

#[test]
fn credentials_are_bounded_and_none_may_be_missing() {
    let mut exchange = exchange();
    let long = format!(r#"{{"api_key":"{}","api_secret":"x"}}"#, "k".repeat(MAX_API_KEY_BYTES + 1));
    for (method, params, field, issue) in [
        ("auth.login", "{}", "api_key", "is required"),
        ("auth.login", r#"{"api_key":"k"}"#, "api_secret", "is required"),
        ("auth.login", r#"{"api_key":"","api_secret":"x"}"#, "api_key", "must be 1 to 128 bytes"),
        ("auth.login", long.as_str(), "api_key", "must be 1 to 128 bytes"),
        ("auth.login", r#"{"api_key":[1],"api_secret":"x"}"#, "api_key", "must be text"),
        ("auth.jwt", "{}", "token", "is required"),
        ("auth.jwt", r#"{"token":5}"#, "token", "must be text"),
    ] {
        let message = format!(r#"{{"method":"{method}","params":{params},"id":1}}"#);
        let answer = told(&mut exchange, Endpoint::Orders, &message, None);
        let wanted = format!(r#""details":{{"field":"{field}","issue":"{issue}"#);
        assert!(answer.contains(&wanted), "{params}: {answer}");
    }
}
