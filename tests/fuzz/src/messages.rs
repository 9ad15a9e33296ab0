//! Bytes as a message on each kind of WebSocket.
//!
//! Promises: no panic, whoever speaks; what is not understood is answered with exactly one JSON object,
//! in the words of its dialect; an order that is let through has passed the documented ranges
//! ([`ranges`]).

use engine::Command;
use gateway::native::{Action, Context, ws as native};
use gateway::rpc::{self, Endpoint};
use serde_json::Value as Json;

use crate::exchange::{Exchange, USERS};
use crate::ranges;

const ENDPOINTS: [Endpoint; 3] = [Endpoint::Orders, Endpoint::MarketData, Endpoint::UserData];

thread_local! {
    /// Nothing here changes it.
    static EXCHANGE: Exchange = Exchange::open();
}

/// Takes the bytes for a message.
pub fn run(data: &[u8]) {
    // What is not UTF-8 never comes out of a WebSocket as text.
    let Ok(text) = std::str::from_utf8(data) else { return };
    EXCHANGE.with(|exchange| {
        let context = exchange.context();
        for user in [None, Some(USERS[0])] {
            let caller = exchange.caller(user);
            match native::read(text, &context, &caller) {
                Err(unread) => {
                    let answer = object(|out| unread.write(out));
                    assert_eq!(answer["type"], "error", "{answer}");
                    assert!(answer["code"].is_number() && answer["msg"].is_string(), "{answer}");
                }
                Ok(native::ClientMessage::Order { action, .. }) => check(&action, &context),
                Ok(_) => {}
            }
            for endpoint in ENDPOINTS {
                match rpc::read(text, endpoint, &context, &caller) {
                    Err(unread) => {
                        let answer = object(|out| unread.write(out));
                        let error = &answer["error"];
                        assert!(error["code"].is_number(), "{answer}");
                        assert!(error["details"]["field"].is_string(), "{answer}");
                        assert!(answer.get("id").is_some(), "{answer}");
                    }
                    Ok(rpc::ClientMessage::Act { action, .. }) => check(&action, &context),
                    Ok(_) => {}
                }
            }
        }
    });
}

fn object(write: impl FnOnce(&mut Vec<u8>)) -> Json {
    let mut out = Vec::new();
    write(&mut out);
    let answer: Json = serde_json::from_slice(&out).expect("an answer is JSON");
    assert!(answer.is_object());
    answer
}

fn check(action: &Action, context: &Context<'_>) {
    match action {
        Action::Command { command: Command::Place(_) | Command::Cancel { .. }, .. }
        | Action::Query { .. } => ranges::check_action(action, context),
        other => panic!("not what a message may ask for: {other:?}"),
    }
}
