//! A scanner over the text of one object.

use std::borrow::Cow;

/// Deepest nesting of a value that is skipped, the object itself included.
pub const MAX_DEPTH: usize = 32;

/// The value of a field, numbers and text as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// The field is not there.
    Absent,
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as written.
    Number(&'a str),
    /// A string, its escapes resolved.
    Text(Cow<'a, str>),
    /// An array, as written, for [`read_array`].
    Array(&'a str),
    /// An object, as written, for [`read_object`].
    Object(&'a str),
}

/// Why a text is not the object that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Nothing but white space.
    #[error("body: is empty, a JSON object is wanted")]
    Empty,
    /// Valid so far, but not an object.
    #[error("body: must be a JSON object")]
    NotObject,
    /// Not UTF-8.
    #[error("body: is not UTF-8 at byte {0}")]
    NotUtf8(usize),
    /// Not JSON; the field whose value is meant, if one is being read.
    #[error("{}: malformed JSON at byte {offset}: {problem}", field.unwrap_or("body"))]
    Malformed {
        /// The field whose value is being read, where the route knows it.
        field: Option<&'static str>,
        /// Where.
        offset: usize,
        /// What is wrong there.
        problem: &'static str,
    },
    /// Nested too deeply.
    #[error("body: is nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// A known field stands twice.
    #[error("{0}: is given twice")]
    Duplicate(&'static str),
}

/// Reads an object into the values of the fields `names`; other fields are checked and skipped.
pub fn read_object<'a, const N: usize>(
    body: &'a [u8],
    names: &[&'static str; N],
) -> Result<[Value<'a>; N], JsonError> {
    let text =
        std::str::from_utf8(body).map_err(|error| JsonError::NotUtf8(error.valid_up_to()))?;
    let mut values = [const { Value::Absent }; N];
    let mut scanner = Scanner { text, at: 0, field: None };
    scanner.object(names, &mut values)?;
    Ok(values)
}

/// Reads an array, giving `take` each value with its place, from 0 on.
///
/// # Errors
/// The text is no array, or what `take` says; nothing behind that is read.
pub fn read_array<'a, E: From<JsonError>>(
    text: &'a str,
    mut take: impl FnMut(usize, Value<'a>) -> Result<(), E>,
) -> Result<(), E> {
    let mut scanner = Scanner { text, at: 0, field: None };
    scanner.skip_space();
    if scanner.peek() != Some(b'[') {
        return Err(scanner.malformed("an array is wanted").into());
    }
    scanner.at += 1;
    scanner.skip_space();
    if scanner.peek() == Some(b']') {
        scanner.at += 1;
        return Ok(scanner.end()?);
    }
    for index in 0.. {
        take(index, scanner.value()?)?;
        scanner.skip_space();
        match scanner.peek() {
            Some(b',') => scanner.at += 1,
            Some(b']') => break,
            _ => return Err(scanner.malformed("a comma or a closing bracket is wanted").into()),
        }
        scanner.skip_space();
    }
    scanner.at += 1;
    Ok(scanner.end()?)
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// The known field whose value is being read, for messages.
    field: Option<&'static str>,
}

impl<'a> Scanner<'a> {
    fn object(
        &mut self,
        names: &[&'static str],
        values: &mut [Value<'a>],
    ) -> Result<(), JsonError> {
        self.skip_space();
        match self.peek() {
            None => return Err(JsonError::Empty),
            Some(b'{') => self.at += 1,
            Some(b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                return Err(JsonError::NotObject);
            }
            Some(_) => return Err(self.malformed("an object is wanted")),
        }
        // Clients mostly keep to one order of fields, so the next name is tried first.
        let mut expected = 0;
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return self.end();
        }
        loop {
            let key = self.key()?;
            let index = find(names, &key, expected);
            let value = match index {
                Some(index) => {
                    self.field = Some(names[index]);
                    self.value()?
                }
                None => {
                    self.skip_value()?;
                    Value::Absent
                }
            };
            if let Some(index) = index {
                if values[index] != Value::Absent {
                    return Err(JsonError::Duplicate(names[index]));
                }
                values[index] = value;
                expected = index + 1;
            }
            self.skip_space();
            // A missing comma is told of the field before it: its value is what went wrong.
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return self.end();
                }
                _ => return Err(self.malformed("a comma or the end of the object is wanted")),
            }
            self.field = None;
            self.skip_space();
        }
    }

    /// Nothing may follow.
    fn end(&mut self) -> Result<(), JsonError> {
        self.field = None;
        self.skip_space();
        if self.at < self.text.len() {
            return Err(self.malformed("something follows the end"));
        }
        Ok(())
    }

    /// A field's name, its colon and the space behind it.
    fn key(&mut self) -> Result<Cow<'a, str>, JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.malformed("a field name in quotes is wanted"));
        }
        let key = self.string()?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.malformed("a colon is wanted"));
        }
        self.at += 1;
        self.skip_space();
        Ok(key)
    }

    fn value(&mut self) -> Result<Value<'a>, JsonError> {
        match self.peek() {
            Some(b'"') => self.string().map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(b't') => self.word("true").map(|()| Value::Bool(true)),
            Some(b'f') => self.word("false").map(|()| Value::Bool(false)),
            Some(b'n') => self.word("null").map(|()| Value::Null),
            Some(b'[') => self.container().map(Value::Array),
            Some(b'{') => self.container().map(Value::Object),
            Some(_) => Err(self.malformed("a value is wanted")),
            None => Err(self.malformed("the text ends too early")),
        }
    }

    /// An array or object, checked but not looked into.
    fn container(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at;
        self.skip_value()?;
        Ok(&self.text[start..self.at])
    }

    /// Passes over any value. A loop with a bounded stack of bits instead of recursion.
    fn skip_value(&mut self) -> Result<(), JsonError> {
        let mut depth = 0;
        // The lowest bit: whether the innermost open container is an object.
        let mut objects = 0u64;
        loop {
            match self.peek() {
                Some(open @ (b'{' | b'[')) => {
                    depth += 1;
                    if depth >= MAX_DEPTH {
                        return Err(JsonError::TooDeep);
                    }
                    objects = objects << 1 | u64::from(open == b'{');
                    self.at += 1;
                    self.skip_space();
                    if self.peek() != Some(closing(objects)) {
                        if open == b'{' {
                            self.key()?;
                        }
                        continue;
                    }
                }
                _ => {
                    self.value()?;
                }
            }
            if self.leave_containers(&mut depth, &mut objects)? {
                return Ok(());
            }
        }
    }

    /// Behind a value that is skipped: closes what closes here. Whether the outermost value has
    /// ended; if not, the next value of the innermost container begins here.
    fn leave_containers(
        &mut self,
        depth: &mut usize,
        objects: &mut u64,
    ) -> Result<bool, JsonError> {
        while *depth > 0 {
            self.skip_space();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.skip_space();
                    if *objects & 1 == 1 {
                        self.key()?;
                    }
                    return Ok(false);
                }
                Some(byte) if byte == closing(*objects) => {
                    self.at += 1;
                    *depth -= 1;
                    *objects >>= 1;
                }
                _ => return Err(self.malformed("a comma or a closing bracket is wanted")),
            }
        }
        Ok(true)
    }

    /// A string from its opening quote to behind its closing one.
    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let mut at = start;
        loop {
            match bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(Cow::Borrowed(&self.text[start..at]));
                }
                Some(b'\\') => return self.escaped_string(start, at),
                Some(byte) if *byte >= b' ' => at += 1,
                Some(_) => {
                    self.at = at;
                    return Err(self.malformed("a control character in a string"));
                }
                None => {
                    self.at = at;
                    return Err(self.malformed("the text ends within a string"));
                }
            }
        }
    }

    /// The rest of a string from its first escape on.
    fn escaped_string(&mut self, start: usize, escape: usize) -> Result<Cow<'a, str>, JsonError> {
        let mut text = self.text[start..escape].to_owned();
        self.at = escape;
        loop {
            let run = self.at;
            while self.peek().is_some_and(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
                self.at += 1;
            }
            text.push_str(&self.text[run..self.at]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(text));
                }
                Some(b'\\') => {
                    self.at += 1;
                    text.push(self.escape()?);
                }
                Some(_) => return Err(self.malformed("a control character in a string")),
                None => return Err(self.malformed("the text ends within a string")),
            }
        }
    }

    /// The character that an escape stands for, from behind its backslash.
    fn escape(&mut self) -> Result<char, JsonError> {
        let character = match self.peek() {
            Some(plain @ (b'"' | b'\\' | b'/')) => char::from(plain),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode_escape();
            }
            _ => return Err(self.malformed("an unknown escape")),
        };
        self.at += 1;
        Ok(character)
    }

    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        const HIGH: std::ops::Range<u32> = 0xd800..0xdc00;
        const LOW: std::ops::Range<u32> = 0xdc00..0xe000;
        let mut code = self.four_digits()?;
        if HIGH.contains(&code) && self.text.as_bytes()[self.at..].starts_with(b"\\u") {
            self.at += 2;
            let low = self.four_digits()?;
            if LOW.contains(&low) {
                code = 0x10000 + ((code - HIGH.start) << 10) + (low - LOW.start);
            }
        }
        char::from_u32(code).ok_or_else(|| self.malformed("half of a surrogate pair"))
    }

    fn four_digits(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let code = digits.and_then(|digits| {
            digits.iter().try_fold(0, |code, &digit| {
                char::from(digit).to_digit(16).map(|digit| code << 4 | digit)
            })
        });
        let code = code.ok_or_else(|| self.malformed("four hexadecimal digits are wanted"))?;
        self.at += 4;
        Ok(code)
    }

    /// A number, as written.
    fn number(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.malformed("a digit is wanted"));
        }
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<(), JsonError> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.malformed("a value is wanted"));
        }
        self.at += word.len();
        Ok(())
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn malformed(&self, problem: &'static str) -> JsonError {
        JsonError::Malformed { field: self.field, offset: self.at, problem }
    }
}

fn closing(objects: u64) -> u8 {
    if objects & 1 == 1 { b'}' } else { b']' }
}

fn find(names: &[&'static str], key: &str, expected: usize) -> Option<usize> {
    if names.get(expected).is_some_and(|name| *name == key) {
        return Some(expected);
    }
    names.iter().position(|name| *name == key)
}

#[cfg(test)]
#[path = "scanner_tests.rs"]
mod tests;
