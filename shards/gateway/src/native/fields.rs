//! Fields of bodies and parameters of query strings, read into types, each error with its name.

use money::{
    Cid, Decimal, ID_LIMIT, OrderKind, OrderStatus, SelfTrade, Side, SymbolStatus, TimeInForce,
    WithdrawalStatus,
};

use super::failure::{Code, Failure};
use crate::json::{Value, read_object};
use crate::query_string::read_query;

/// A field and its name.
#[derive(Clone, Debug)]
pub(crate) struct Field<'a> {
    pub name: &'static str,
    pub value: Value<'a>,
}

/// The fields of a JSON body, in the order of `names`.
pub(crate) fn body_fields<'a, const N: usize>(
    body: &'a [u8],
    names: [&'static str; N],
) -> Result<[Field<'a>; N], Failure> {
    let mut values = read_object(body, &names)?;
    let mut index = 0;
    Ok(names.map(|name| {
        let value = std::mem::replace(&mut values[index], Value::Absent);
        index += 1;
        Field { name, value }
    }))
}

/// The parameters of a query string, in the order of `names`.
pub(crate) fn query_fields<'a, const N: usize>(
    query: &'a str,
    names: [&'static str; N],
) -> Result<[Field<'a>; N], Failure> {
    let mut values = read_query(query, &names)?;
    let mut index = 0;
    Ok(names.map(|name| {
        let value = values[index].take().map_or(Value::Absent, Value::Text);
        index += 1;
        Field { name, value }
    }))
}

/// A value out of a path.
pub(super) fn path_field<'a>(name: &'static str, segment: &'a str) -> Result<Field<'a>, Failure> {
    let text = crate::query_string::decode(segment, false)
        .ok_or_else(|| Failure::parameter(name, "is not percent-encoded UTF-8"))?;
    Ok(Field { name, value: Value::Text(text) })
}

/// An enumeration of the wire.
pub(crate) trait Word: Copy + 'static {
    /// Every value.
    const WORDS: &'static [Self];
    /// How it is spelled.
    fn text(self) -> &'static str;
    /// The value spelled so.
    fn read(text: &str) -> Option<Self>;
}

macro_rules! word {
    ($($name:ident),*) => {$(
        impl Word for $name {
            const WORDS: &'static [Self] = $name::ALL;
            fn text(self) -> &'static str {
                self.as_str()
            }
            fn read(text: &str) -> Option<Self> {
                $name::parse(text)
            }
        }
    )*};
}
word!(Side, OrderKind, TimeInForce, SelfTrade, OrderStatus, SymbolStatus, WithdrawalStatus);

impl<'a> Field<'a> {
    /// Whether it is absent or null.
    pub fn is_absent(&self) -> bool {
        matches!(self.value, Value::Absent | Value::Null)
    }

    /// An error about this field.
    pub fn failure(&self, rule: impl std::fmt::Display) -> Failure {
        Failure::parameter(self.name, rule)
    }

    /// An error because it is not there.
    pub fn missing(&self) -> Failure {
        match self.value {
            Value::Null => self.failure("is required, not null"),
            _ => self.failure("is required"),
        }
    }

    /// Text.
    pub fn text(&self) -> Result<Option<&str>, Failure> {
        match &self.value {
            Value::Absent | Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            _ => Err(self.failure("must be text")),
        }
    }

    /// Text that must be there.
    pub fn required_text(&self) -> Result<&str, Failure> {
        self.text()?.ok_or_else(|| self.missing())
    }

    /// Text, or a number as it is written.
    fn literal(&self, wanted: &str) -> Result<Option<&str>, Failure> {
        match &self.value {
            Value::Absent | Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            Value::Number(text) => Ok(Some(text)),
            _ => Err(self.failure(wanted)),
        }
    }

    /// Text, or a number as it is written, that must be there.
    pub fn required_literal(&self) -> Result<&str, Failure> {
        self.literal("must be text or a number")?.ok_or_else(|| self.missing())
    }

    /// A decimal, given as text or as a number. What is one but cannot be used gets `code`.
    pub fn decimal(&self, code: Code) -> Result<Option<Decimal>, Failure> {
        let Some(text) = self.literal("must be a decimal number, as a number or in quotes")? else {
            return Ok(None);
        };
        match Decimal::parse(text) {
            Ok(decimal) => Ok(Some(decimal)),
            Err(error) => Err(Failure::new(code, format!("{}: {error}", self.name))),
        }
    }

    /// A decimal that must be there.
    pub fn required_decimal(&self, code: Code) -> Result<Decimal, Failure> {
        self.decimal(code)?.ok_or_else(|| self.missing())
    }

    /// An id below 2^53.
    pub fn id(&self) -> Result<Option<u64>, Failure> {
        const RULE: &str = "must be an integer from 0 to 9007199254740991";
        const MAX_DIGITS: usize = 16;
        let Some(text) = self.literal(RULE)? else { return Ok(None) };
        let is_number = !text.is_empty()
            && text.len() <= MAX_DIGITS
            && text.bytes().all(|byte| byte.is_ascii_digit());
        let id = text.parse().ok().filter(|id| is_number && *id < ID_LIMIT);
        id.map(Some).ok_or_else(|| self.failure(RULE))
    }

    /// An id that must be there.
    pub fn required_id(&self) -> Result<u64, Failure> {
        self.id()?.ok_or_else(|| self.missing())
    }

    /// An integer up to `most`.
    pub fn integer(&self, least: u64, most: u64) -> Result<Option<u64>, Failure> {
        let rule = || self.failure(format_args!("must be an integer from {least} to {most}"));
        let Some(text) = self.literal("must be an integer")? else { return Ok(None) };
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(rule());
        }
        let value = text.parse().ok().filter(|value| (least..=most).contains(value));
        value.map(Some).ok_or_else(rule)
    }

    /// A word of an enumeration.
    pub fn word<W: Word>(&self) -> Result<Option<W>, Failure> {
        let Some(text) = self.text()? else { return Ok(None) };
        let word = W::read(text);
        word.map(Some).ok_or_else(|| self.failure(format_args!("must be {}", choices::<W>())))
    }

    /// A word that must be there.
    pub fn required_word<W: Word>(&self) -> Result<W, Failure> {
        self.word()?.ok_or_else(|| self.missing())
    }

    /// `true` or `false`, in JSON or as text.
    pub fn flag(&self) -> Result<Option<bool>, Failure> {
        match &self.value {
            Value::Absent | Value::Null => Ok(None),
            Value::Bool(flag) => Ok(Some(*flag)),
            Value::Text(text) if text == "true" => Ok(Some(true)),
            Value::Text(text) if text == "false" => Ok(Some(false)),
            _ => Err(self.failure("must be true or false")),
        }
    }

    /// A client order id.
    pub fn cid(&self) -> Result<Option<Cid>, Failure> {
        let Some(text) = self.literal("must be text")? else { return Ok(None) };
        Cid::parse(text).map(Some).map_err(|error| self.failure(error))
    }
}

/// `A, B or C`.
pub(crate) fn choices<W: Word>() -> String {
    let mut text = String::new();
    for (index, word) in W::WORDS.iter().enumerate() {
        text.push_str(match index {
            0 => "",
            _ if index + 1 == W::WORDS.len() => " or ",
            _ => ", ",
        });
        text.push_str(word.text());
    }
    text
}
