//! A client's own name for its message.

use crate::json::{Value, write};
use crate::native::failure::Failure;
use crate::native::fields::Field;

/// Longest `id` of a message, in bytes without its quotes.
pub const MAX_REQUEST_ID_BYTES: usize = 62;

/// The `id` of a message: text or a number, told again in the answer as it was given. Small and
/// without memory of its own, since it waits with every order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestId {
    is_text: bool,
    length: u8,
    bytes: [u8; MAX_REQUEST_ID_BYTES],
}

impl RequestId {
    /// The field `id`, if it is there.
    pub(crate) fn read(field: &Field<'_>) -> Result<Option<RequestId>, Failure> {
        let (is_text, text) = match &field.value {
            Value::Absent | Value::Null => return Ok(None),
            Value::Text(text) => (true, text.as_ref()),
            Value::Number(text) => (false, *text),
            _ => return Err(field.failure("must be text or a number")),
        };
        if text.len() > MAX_REQUEST_ID_BYTES {
            let rule = format!("must be at most {MAX_REQUEST_ID_BYTES} bytes long");
            return Err(field.failure(rule));
        }
        let mut bytes = [0; MAX_REQUEST_ID_BYTES];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Some(RequestId { is_text, length: text.len() as u8, bytes }))
    }

    /// Appends it as JSON.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        if self.is_text {
            write::string(out, self.text());
        } else {
            out.extend_from_slice(self.text().as_bytes());
        }
    }

    fn text(&self) -> &str {
        // It was text when it came.
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl std::fmt::Debug for RequestId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("RequestId").field(&self.text()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn echo(value: Value<'_>) -> String {
        let id = RequestId::read(&Field { name: "id", value }).unwrap().unwrap();
        let mut out = Vec::new();
        id.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_id_is_small() {
        assert_eq!(size_of::<Option<RequestId>>(), 64);
    }

    #[test]
    fn a_number_comes_back_digit_by_digit() {
        for text in ["0", "-0", "1.50e+3", "9007199254740993", "1e400"] {
            assert_eq!(echo(Value::Number(text)), text);
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back_as_it_was(text in "\\PC{0,15}|[\"\\\\\u{0}-\u{1f}]{0,20}") {
            let told = echo(Value::Text(text.as_str().into()));
            prop_assert_eq!(serde_json::from_str::<String>(&told).unwrap(), text);
        }
    }
}
