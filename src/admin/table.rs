//! Tables for people: what a server tells in JSON, in columns, numbers to the right.
//!
//! Users choose names and destinations of withdrawals. None of what they choose reaches the terminal as
//! anything but letters.

use serde_json::Value;

use crate::time::Instant;

/// Between two columns.
const GAP: &str = "  ";
/// Where there is no value.
const NOTHING: &str = "-";
const NS_PER_MS: u64 = 1_000_000;

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Text,
    /// As it is, to the right.
    Number,
    /// `yes` or `no`.
    Flag,
    /// Milliseconds since the epoch, as a time.
    Ms,
    /// Nanoseconds since the epoch, as a time.
    Ns,
    /// An array, with commas.
    List,
}

/// A column, or a line of what is one thing.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    title: &'static str,
    field: &'static str,
    form: Form,
}

impl Column {
    /// Of a field of the server's objects.
    pub const fn new(title: &'static str, field: &'static str, form: Form) -> Column {
        Column { title, field, form }
    }

    /// The same, where both names are one.
    pub const fn of(field: &'static str, form: Form) -> Column {
        Column::new(field, field, form)
    }

    fn cell(&self, object: &Value) -> String {
        let value = object.get(self.field).unwrap_or(&Value::Null);
        let time = |ms: u64| Instant(ms).to_rfc3339();
        match (self.form, value) {
            (_, Value::Null) => NOTHING.to_owned(),
            (Form::Flag, Value::Bool(flag)) => if *flag { "yes" } else { "no" }.to_owned(),
            (Form::Ms, value) if value.is_u64() => time(value.as_u64().unwrap_or(0)),
            (Form::Ns, value) if value.is_u64() => time(value.as_u64().unwrap_or(0) / NS_PER_MS),
            (Form::List, Value::Array(list)) if list.is_empty() => NOTHING.to_owned(),
            (Form::List, Value::Array(list)) => {
                list.iter().map(plain).collect::<Vec<String>>().join(",")
            }
            (_, value) => plain(value),
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => printable(text),
        other => printable(&other.to_string()),
    }
}

/// A text whose every character is shown and does nothing else.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '"' | '\'' | '\\' => shown.push(letter),
            letter => shown.extend(letter.escape_debug()),
        }
    }
    shown
}

/// A line for titles and one for each object.
pub fn table(columns: &[Column], objects: &[Value]) -> String {
    let mut lines: Vec<Vec<String>> = Vec::with_capacity(objects.len() + 1);
    lines.push(columns.iter().map(|column| column.title.to_owned()).collect());
    lines.extend(
        objects.iter().map(|object| columns.iter().map(|column| column.cell(object)).collect()),
    );
    let to_right: Vec<bool> = columns.iter().map(|column| column.form == Form::Number).collect();
    aligned(&lines, &to_right)
}

/// A line for each field of an object, with its title.
pub fn fields(columns: &[Column], object: &Value) -> String {
    let line = |column: &Column| vec![column.title.to_owned(), column.cell(object)];
    let lines: Vec<Vec<String>> = columns.iter().map(line).collect();
    aligned(&lines, &[false, false])
}

fn aligned(lines: &[Vec<String>], to_right: &[bool]) -> String {
    let width_of = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..to_right.len()).map(width_of).collect();
    let mut text = String::new();
    for line in lines {
        let begin = text.len();
        for (at, cell) in line.iter().enumerate() {
            if at > 0 {
                text.push_str(GAP);
            }
            let width = widths[at];
            text.push_str(&match to_right[at] {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            });
        }
        text.truncate(text.trim_end().len().max(begin));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const COLUMNS: [Column; 4] = [
        Column::new("user", "user_id", Form::Number),
        Column::of("name", Form::Text),
        Column::of("frozen", Form::Flag),
        Column::of("amount", Form::Number),
    ];

    #[test]
    fn numbers_are_to_the_right_and_lines_end_without_spaces() {
        let rows = [
            json!({"user_id": 1, "name": "a desk", "frozen": false, "amount": "10.00"}),
            json!({"user_id": 1001, "name": null, "frozen": true, "amount": "2.50"}),
            json!({"user_id": 22, "name": "ü", "frozen": true}),
        ];
        let expected = "\
user  name    frozen  amount
   1  a desk  no       10.00
1001  -       yes       2.50
  22  ü       yes          -
";
        assert_eq!(table(&COLUMNS, &rows), expected);
        assert_eq!(table(&COLUMNS, &[]), "user  name  frozen  amount\n");
        let last_is_text = [Column::of("amount", Form::Number), Column::of("name", Form::Text)];
        let text = table(&last_is_text, &rows);
        assert!(text.lines().all(|line| line == line.trim_end()), "{text}");
    }

    #[test]
    fn one_thing_is_a_line_for_each_field() {
        let columns = [
            Column::new("user", "user_id", Form::Number),
            Column::of("permissions", Form::List),
            Column::of("addresses", Form::List),
            Column::new("asked at", "asked", Form::Ms),
            Column::new("made at", "made", Form::Ns),
            Column::new("used at", "used", Form::Ns),
        ];
        let object = json!({"user_id": 7, "permissions": ["read", "trade"], "addresses": [],
            "asked": 0, "made": 86_400_000_000_000u64, "used": null});
        let expected = "\
user         7
permissions  read,trade
addresses    -
asked at     1970-01-01T00:00:00.000Z
made at      1970-01-02T00:00:00.000Z
used at      -
";
        assert_eq!(fields(&columns, &object), expected);
    }

    #[test]
    fn nothing_that_a_user_wrote_commands_the_terminal() {
        let rows =
            [json!({"name": "a\u{1b}[2J\nb\u{202e}\r\u{7}"}), json!({"name": "O'Hara \"x\""})];
        let text = table(&[Column::of("name", Form::Text)], &rows);
        assert_eq!(text, "name\na\\u{1b}[2J\\nb\\u{202e}\\r\\u{7}\nO'Hara \"x\"\n");
    }
}
