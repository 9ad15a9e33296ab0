//! Query strings: `a=1&b=two%20words`.
//!
//! Promises as for bodies: a known parameter that is given twice or encoded wrongly is refused with
//! its name, unknown ones are ignored.

use std::borrow::Cow;

/// Why a query string cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// A `%` without two hexadecimal digits, or bytes that are not UTF-8.
    #[error("{0}: is not percent-encoded UTF-8")]
    Encoding(&'static str),
    /// A known parameter stands twice.
    #[error("{0}: is given twice")]
    Duplicate(&'static str),
}

/// Reads the parameters `names`.
pub fn read_query<'a, const N: usize>(
    query: &'a str,
    names: &[&'static str; N],
) -> Result<[Option<Cow<'a, str>>; N], QueryError> {
    let mut values = [const { None }; N];
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        // A name that cannot be decoded is no known one.
        let Some(key) = decode(key, true) else { continue };
        let Some(index) = names.iter().position(|name| *name == key) else { continue };
        let value = decode(value, true).ok_or(QueryError::Encoding(names[index]))?;
        if values[index].replace(value).is_some() {
            return Err(QueryError::Duplicate(names[index]));
        }
    }
    Ok(values)
}

/// Resolves percent-encoding, and `+` where it stands for a space. `None` when it is malformed.
pub fn decode(text: &str, plus_is_space: bool) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|byte| byte == b'%' || (plus_is_space && byte == b'+')) {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                (high << 4 | low) as u8
            }
            b'+' if plus_is_space => b' ',
            _ => byte,
        });
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parameters_are_decoded_and_bad_ones_named() {
        let [symbol, limit] =
            read_query("x=%zz&symbol=BTC%5FUSDT&limit=", &["symbol", "limit"]).unwrap();
        assert_eq!(symbol.as_deref(), Some("BTC_USDT"));
        assert_eq!(limit.as_deref(), Some(""));
        for bad in ["limit=%", "limit=%4", "limit=%g0", "limit=%ff"] {
            assert_eq!(read_query(bad, &["limit"]), Err(QueryError::Encoding("limit")), "{bad}");
        }
    }

    #[test]
    fn a_parameter_given_twice_under_two_spellings_is_refused() {
        assert_eq!(
            read_query("limit=1&li%6Dit=2", &["limit"]),
            Err(QueryError::Duplicate("limit"))
        );
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(text in ".{0,40}") {
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            prop_assert_eq!(decode(&encoded, true).unwrap(), text);
        }

        #[test]
        fn nothing_panics(text in ".{0,60}") {
            let _ = read_query(&text, &["limit", "symbol"]);
        }
    }
}
