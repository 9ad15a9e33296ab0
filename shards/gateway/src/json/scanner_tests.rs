//! What is JSON and what is not, judged by serde_json.

use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

const NAMES: [&str; 3] = ["price", "qty", "cid"];

fn read(text: &str) -> Result<[Value<'_>; 3], JsonError> {
    read_object(text.as_bytes(), &NAMES)
}

#[test]
fn values_are_handed_on_as_written() {
    let text =
        r#" {"x":{"price":[1,{}]}, "qty" : 1.50e+3 ,"cid":"aA\n\ud83d\ude00\/","price":null} "#;
    let [price, qty, cid] = read(text).unwrap();
    assert_eq!(price, Value::Null);
    assert_eq!(qty, Value::Number("1.50e+3"));
    assert_eq!(cid, Value::Text("aA\n\u{1f600}/".into()));
}

#[test]
fn a_field_hidden_behind_escapes_is_still_the_field() {
    assert_eq!(read(r#"{"pr\u0069ce":1}"#).unwrap()[0], Value::Number("1"));
    assert_eq!(read(r#"{"price":1,"pr\u0069ce":2}"#), Err(JsonError::Duplicate("price")));
    assert!(read(r#"{"x":1,"x":2}"#).is_ok());
}

#[test]
fn a_broken_value_is_told_with_its_field() {
    for value in
        ["NaN", "-", "+1", ".5", "01", "1.", "1e", "Infinity", "tru", "'1'", "\"a", "[1", "0x1"]
    {
        let text = format!("{{\"qty\":1,\"price\":{value}}}");
        let error = read(&text).unwrap_err();
        assert!(error.to_string().starts_with("price: malformed JSON at byte"), "{value}: {error}");
    }
    let cut = read(r#"{"qty":"1","price":"#).unwrap_err();
    assert!(cut.to_string().starts_with("price: "), "{cut}");
}

#[test]
fn what_is_no_object_is_told_as_such() {
    assert_eq!(read(""), Err(JsonError::Empty));
    assert_eq!(read(" \r\n\t"), Err(JsonError::Empty));
    for text in ["[]", "1", "\"a\"", "null", "true"] {
        assert_eq!(read(text), Err(JsonError::NotObject), "{text}");
    }
    assert_eq!(read_object(b"{\"a\":\"\xff\"}", &NAMES), Err(JsonError::NotUtf8(6)));
    for text in
        ["{", "{}x", "{}{}", "{,}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "\u{feff}{}"]
    {
        assert!(matches!(read(text), Err(JsonError::Malformed { .. })), "{text}");
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| format!("{{\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(read(&nested(MAX_DEPTH - 1)).is_ok());
    assert_eq!(read(&nested(MAX_DEPTH)), Err(JsonError::TooDeep));
    assert_eq!(read(&nested(30_000)), Err(JsonError::TooDeep));
    let wide = format!("{{\"x\":[{}0]}}", "{\"a\":[]},".repeat(5_000));
    assert!(read(&wide).is_ok());
}

#[test]
fn half_a_surrogate_pair_is_refused() {
    for text in [r#""\ud800""#, r#""\udc00""#, r#""\ud800\u0041""#, r#""\ud800x""#, r#""\ud80""#] {
        assert!(read(&format!("{{\"cid\":{text}}}")).is_err(), "{text}");
    }
}

#[test]
fn an_array_is_read_value_by_value_or_refused_where_it_breaks() {
    let read = |text: &str| {
        let mut values = Vec::new();
        let result = read_array(text, |index, value| {
            assert_eq!(index, values.len());
            values.push(format!("{value:?}"));
            Ok::<(), JsonError>(())
        });
        result.map(|()| values)
    };
    assert_eq!(read("[]").unwrap(), [""; 0]);
    let values = read(r#" [ "a\n" , 1e3,null , [1,[2]],{"b":[]} ] "#).unwrap();
    assert_eq!(
        values,
        [
            r#"Text("a\n")"#,
            r#"Number("1e3")"#,
            "Null",
            r#"Array("[1,[2]]")"#,
            r#"Object("{\"b\":[]}")"#
        ]
    );
    for broken in ["", "{}", "1", "[", "[1", "[1,", "[1,]", "[,]", "[1 2]", "[1]2", "[1}"] {
        assert!(matches!(read(broken), Err(JsonError::Malformed { .. })), "{broken}");
    }
    assert_eq!(read(&"[".repeat(MAX_DEPTH + 1)), Err(JsonError::TooDeep));
}

/// What serde_json says of the same text.
fn oracle(text: &str) -> bool {
    serde_json::from_str::<HashMap<String, &RawValue>>(text).is_ok()
}

/// JSON values as text, nested a little.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|flag| flag.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        "-?(0|[1-9][0-9]{0,8})(\\.[0-9]{1,4})?([eE][+-]?[0-9]{1,3})?",
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(" ,"))),
            proptest::collection::vec((any::<String>(), inner), 0..4).prop_map(|fields| {
                let fields: Vec<String> = fields
                    .iter()
                    .map(|(key, value)| format!("{}: {value}", serde_json::to_string(key).unwrap()))
                    .collect();
                format!("{{{}}}", fields.join(",\n"))
            }),
        ]
    })
}

fn object() -> impl Strategy<Value = String> {
    let key = prop_oneof![Just("price".to_owned()), Just("other".to_owned()), any::<String>()];
    proptest::collection::vec((key, json()), 0..5).prop_map(|fields| {
        let mut seen = false;
        let fields: Vec<String> = fields
            .iter()
            .filter(|(key, _)| key != "price" || !std::mem::replace(&mut seen, true))
            .map(|(key, value)| format!("{}:{value}", serde_json::to_string(key).unwrap()))
            .collect();
        format!("{{{}}}", fields.join(","))
    })
}

proptest! {
    #[test]
    fn every_object_is_accepted_and_its_field_found(text in object()) {
        let values = read(&text);
        prop_assert!(values.is_ok(), "{} {:?}", text, values);
        let whole: HashMap<String, &RawValue> = serde_json::from_str(&text).unwrap();
        let [price, ..] = values.unwrap();
        match (whole.get("price").map(|raw| raw.get()), price) {
            (None, Value::Absent) | (Some("null"), Value::Null) => {}
            (Some(raw), Value::Number(number)) => prop_assert_eq!(raw, number),
            (Some(raw), Value::Bool(flag)) => prop_assert_eq!(raw, flag.to_string()),
            (Some(raw), Value::Text(read)) => {
                prop_assert_eq!(serde_json::from_str::<String>(raw).unwrap(), read);
            }
            (Some(raw), Value::Array(text)) => prop_assert_eq!(raw, text),
            (Some(raw), Value::Object(text)) => prop_assert_eq!(raw, text),
            (raw, value) => prop_assert!(false, "{:?} {:?}", raw, value),
        }
    }

    #[test]
    fn a_damaged_object_is_judged_as_serde_json_does(
        text in object(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), "[\\[\\]{}:,\"\\\\0-9.eE+ntfu \n-]"), 1..4),
    ) {
        let mut characters: Vec<char> = text.chars().collect();
        for (index, with) in damage {
            let at = index.index(characters.len());
            characters[at] = with.chars().next().unwrap();
        }
        let damaged: String = characters.into_iter().collect();
        match read(&damaged) {
            Err(JsonError::Duplicate(_) | JsonError::TooDeep) => {}
            // serde_json does not look at the surrogates of text that it skips.
            Err(JsonError::Malformed { problem: "half of a surrogate pair", .. }) => {}
            result => prop_assert_eq!(result.is_ok(), oracle(&damaged), "{}", damaged),
        }
    }

    #[test]
    fn random_text_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_object(&bytes, &NAMES);
    }
}
