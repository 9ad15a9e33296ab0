//! What can go wrong between an operator and a server, as exit codes, lines and JSON tell it.

use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::table::printable;

/// Which of the exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The server said no, or what it shows is not right.
    Refused,
    /// What was asked for makes no sense.
    Usage,
    /// No answer of a ringbook.
    Unreached,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    kind: Kind,
    message: String,
    /// The HTTP status.
    status: Option<u16>,
    /// The native dialect's number, or the desk dialect's word.
    code: Option<Value>,
    field: Option<String>,
    /// The name of a payment, with which it may be tried again.
    reference: Option<String>,
}

impl Failure {
    fn new(kind: Kind, message: impl Into<String>) -> Failure {
        let message = message.into();
        Failure { kind, message, status: None, code: None, field: None, reference: None }
    }

    /// Wrong usage.
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::new(Kind::Usage, message)
    }

    /// Something that is not as it should be.
    pub fn wrong(message: impl Into<String>) -> Failure {
        Failure::new(Kind::Refused, message)
    }

    /// No answer.
    pub fn unreached(message: impl Into<String>) -> Failure {
        Failure::new(Kind::Unreached, message)
    }

    /// What a server's error says, in either dialect; nothing where it is none.
    pub fn of_answer(status: u16, body: &Value) -> Option<Failure> {
        let native = || Some((body.get("code")?.as_u64()?, body.get("msg")?.as_str()?));
        let desk = || Some((body.get("error")?.as_str()?, body.get("message")?.as_str()?));
        let (code, message, field) = if let Some((code, message)) = native() {
            // The word, and behind it the detail, which begins with the field.
            let detail = message.split_once(": ").map(|(_, detail)| detail);
            (json!(code), message.to_owned(), detail.and_then(field_of))
        } else {
            let (word, message) = desk()?;
            let field = body.pointer("/details/field").and_then(Value::as_str);
            (json!(word), message.to_owned(), field.or_else(|| field_of(message)))
        };
        let mut failure = Failure::new(Kind::Refused, message.clone());
        failure.field = field.map(str::to_owned);
        (failure.status, failure.code) = (Some(status), Some(code));
        Some(failure)
    }

    /// Which payment it was.
    pub fn with_reference(mut self, reference: &str) -> Failure {
        self.reference = Some(reference.to_owned());
        self
    }

    /// What it was about.
    pub fn about(mut self, what: &str) -> Failure {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// Whether the server said no, and another thing may be asked.
    pub fn is_refusal(&self) -> bool {
        self.kind == Kind::Refused
    }

    /// What the process ends with.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self.kind {
            Kind::Refused => 1,
            Kind::Usage => 2,
            Kind::Unreached => 3,
        })
    }

    /// For a person.
    pub fn to_text(&self) -> String {
        let mut text = String::from("ringbook: ");
        if let (Some(code), Some(status)) = (&self.code, self.status) {
            let code = code.as_str().map_or_else(|| code.to_string(), str::to_owned);
            text.push_str(&format!("refused ({}, HTTP {status}): ", printable(&code)));
        }
        text.push_str(&printable(&self.message));
        // What was refused was not paid, and will not be under that name either.
        if let (Kind::Unreached, Some(reference)) = (self.kind, &self.reference) {
            text.push_str(&format!("\nringbook: to try the same payment again: --ref {reference}"));
        }
        text
    }

    /// For a program.
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        let kind = match self.kind {
            Kind::Refused => "refused",
            Kind::Usage => "usage",
            Kind::Unreached => "unreached",
        };
        object.insert("error".into(), json!(kind));
        object.insert("message".into(), json!(self.message));
        for (name, value) in [
            ("status", self.status.map(Value::from)),
            ("code", self.code.clone()),
            ("field", self.field.clone().map(Value::from)),
            ("ref", self.reference.clone().map(Value::from)),
        ] {
            object.extend(value.map(|value| (name.to_owned(), value)));
        }
        Value::Object(object)
    }
}

/// The field that a detail begins with.
fn field_of(detail: &str) -> Option<&str> {
    let (name, _) = detail.split_once(':')?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-[]".contains(&byte);
    (!name.is_empty() && name.bytes().all(is_name)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_dialects_name_the_field() {
        let native =
            json!({"code": 1001, "msg": "INVALID_PARAMETER: amount: is required", "data": null});
        let desk = json!({"error": "bad_params", "message": "name: is required",
            "details": {"field": "name"}});
        let told = Failure::of_answer(400, &native).unwrap();
        assert_eq!(
            told.to_json(),
            json!({"error": "refused", "status": 400, "code": 1001, "field": "amount",
                "message": "INVALID_PARAMETER: amount: is required"})
        );
        assert_eq!(
            told.to_text(),
            "ringbook: refused (1001, HTTP 400): INVALID_PARAMETER: amount: is required"
        );
        let told = Failure::of_answer(400, &desk).unwrap().to_json();
        assert_eq!((&told["code"], &told["field"]), (&json!("bad_params"), &json!("name")));
        assert_eq!(Failure::of_answer(502, &json!({"fault": 1})), None);
        assert_eq!(Failure::of_answer(502, &Value::Null), None);
    }

    #[test]
    fn a_sentence_is_no_field() {
        assert_eq!(field_of("needs 1 BTC, 0 available"), None);
        assert_eq!(field_of("the session has ended: log in"), None);
        assert_eq!(field_of("permissions[1]: must be read"), Some("permissions[1]"));
        assert_eq!(field_of(": x"), None);
    }

    #[test]
    fn a_payment_that_failed_can_be_tried_again() {
        let lost = Failure::unreached("no answer").with_reference("r-1");
        assert_eq!(lost.to_json()["ref"], "r-1");
        assert!(lost.to_text().ends_with("--ref r-1"));
    }
}
