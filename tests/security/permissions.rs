//! What each permission of a key is good for.

use serde_json::json;

use super::matrix::{ALL, UPGRADE, open};
use super::stand::ALICE;

/// One route of each class, and which permission alone opens it to an administrator's key.
#[rustfmt::skip]
const CLASSES: &[(&str, &str, &str, [u16; 4])] = &[
    //                                                                     read trade withdraw admin
    ("GET", "/api/v1/public/assets", "",                                  [200, 200, 200, 200]),
    ("GET", "/ws", "",                                                    [101, 101, 101, 101]),
    ("GET", "/api/stream", "",                                            [200, 200, 200, 200]),
    ("GET", "/api/v1/balances", "",                                       [200, 403, 403, 403]),
    ("GET", "/api/account", "",                                           [200, 403, 403, 403]),
    ("POST", "/api/v1/create_order",
        r#"{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"1","qty":"1"}"#,
                                                                          [403, 202, 403, 403]),
    ("POST", "/api/order", r#"{"side":"BUY","symbol":"BTCUSDT","qty":1,"price":1}"#,
                                                                          [403, 200, 403, 403]),
    ("POST", "/api/v1/withdrawals", r#"{"asset":"USDT","amount":"1","ref":"x"}"#,
                                                                          [403, 403, 202, 403]),
    ("GET", "/api/auth/keys", "",                                         [403, 403, 403, 200]),
    ("GET", "/api/v1/admin/shards", "",                                   [403, 403, 403, 200]),
    ("GET", "/metrics", "",                                               [403, 403, 403, 200]),
    ("GET", "/api/audit/stats", "",                                       [403, 403, 403, 200]),
    ("DELETE", "/api/v1/admin/orders?user_id=1002", "",                   [403, 403, 403, 200]),
    ("PATCH", "/api/v1/admin/users/1002", r#"{"role":"USER"}"#,           [403, 403, 403, 200]),
    ("POST", "/api/v1/admin/users", "{}",                                 [403, 403, 403, 200]),
];

#[test]
fn a_permission_of_a_key_opens_its_class_and_no_other() {
    let stand = open();
    stand.set(ALICE, json!({"role": "ADMIN"}));
    for (place, permission) in ALL.iter().enumerate() {
        let only = json!({"permissions": [permission]});
        for key in [stand.key(ALICE, only.clone()), stand.ed25519_key(ALICE, only)] {
            for (method, path, body, expected) in CLASSES {
                let upgrade = if *path == "/ws" { UPGRADE } else { "" };
                let headers = key.sign(method, path, body) + upgrade;
                let answer = stand.at(1).call_with(method, path, &headers, body);
                assert_eq!(
                    answer.status, expected[place],
                    "{permission}: {method} {path}: {answer}"
                );
            }
        }
    }
}
