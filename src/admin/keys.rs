//! `admin key …`.

use std::path::Path;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use identity::{KeyId, Permissions};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;

use super::failure::Failure;
use super::server::{Request, Server, body, target};
use super::table::{Column, Form, fields, table};
use super::{Outcome, hex, optional, rows_of, user_id};

const KEYS: &str = "/api/auth/keys";
/// Digits of an Ed25519 public key.
const PUBLIC_KEY_DIGITS: usize = 64;
/// What the public key is behind in DER (RFC 8410).
const ED25519_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
A key's secret is shown once, by `add`. On a server in development mode a key is its user's own matter,
so there --user says whose it is.

Examples:
  ringbook admin key list --user 1001
  ringbook admin key add --user 1001 --name bot --permissions read,trade
  ringbook admin key add --user 1001 --name bot --permissions read --addresses 10.0.0.0/8 --expires 30d
  ringbook admin key add --user 1001 --name bot --permissions read,trade --public-key bot.pem
  ringbook admin key revoke rk_00c0ffee00c0ffee";

const LISTED: [Column; 9] = [
    Column::new("key", "api_key", Form::Text),
    Column::new("user", "user_id", Form::Number),
    Column::of("name", Form::Text),
    Column::of("kind", Form::Text),
    Column::of("permissions", Form::List),
    Column::of("addresses", Form::List),
    Column::new("made", "created_ts_ns", Form::Ns),
    Column::new("expires", "expires_ts_ns", Form::Ns),
    Column::new("last used", "last_used_ts_ns", Form::Ns),
];
const SECRET: Column = Column::new("secret", "api_secret", Form::Text);

/// `key …`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// List the keys of a user
    List {
        /// The user [default: oneself]
        #[arg(long, value_name = "ID", value_parser = user_id)]
        user: Option<u64>,
    },
    /// Make a key; its secret is shown once
    Add(AddArguments),
    /// Revoke a key: it holds everywhere when this returns
    Revoke {
        /// The key, as rk_00c0ffee00c0ffee
        #[arg(value_name = "KEY", value_parser = key_id)]
        key: String,
        /// Whose it is; needed in development mode only
        #[arg(long, value_name = "ID", value_parser = user_id)]
        user: Option<u64>,
    },
}

/// `key add`.
#[derive(Args, Debug)]
pub struct AddArguments {
    /// Whose it will be [default: oneself]
    #[arg(long, value_name = "ID", value_parser = user_id)]
    user: Option<u64>,
    /// A name for people, 1 to 64 bytes
    #[arg(long)]
    name: String,
    /// What it permits, with commas
    #[arg(long, value_name = "LIST", required = true, value_delimiter = ',')]
    #[arg(value_parser = PossibleValuesParser::new(Permissions::WORDS.map(|(_, word)| word)))]
    permissions: Vec<String>,
    /// Networks that it may be used from, with commas, like 10.0.0.0/8 [default: any]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    addresses: Vec<String>,
    /// How long it lives: 90s, 45m, 12h, 30d [default: until it is revoked]
    #[arg(long, value_name = "TIME", value_parser = life)]
    expires: Option<u64>,
    /// An Ed25519 public key, 64 hexadecimal digits or a PEM file (openssl pkey -pubout): its owner signs
    /// with the private one, and there is no secret
    #[arg(long, value_name = "DIGITS|FILE", value_parser = public_key)]
    public_key: Option<String>,
}

fn key_id(text: &str) -> Result<String, String> {
    let key = KeyId::parse(text.as_bytes()).map_err(|rule| rule.to_string())?;
    Ok(key.to_string())
}

/// In seconds.
fn life(text: &str) -> Result<u64, String> {
    let rule = || "must be a number and s, m, h or d, like 30d".to_owned();
    let unit = text.chars().last().ok_or_else(rule)?;
    let unit_s = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(rule()),
    };
    let count: u64 = text[..text.len() - 1].parse().map_err(|_| rule())?;
    count.checked_mul(unit_s).filter(|&life_s| life_s > 0).ok_or_else(rule)
}

fn public_key(text: &str) -> Result<String, String> {
    if text.len() == PUBLIC_KEY_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    let key = SubjectPublicKeyInfoDer::from_pem_file(Path::new(text))
        .map_err(|error| format!("is neither 64 hexadecimal digits nor a PEM file: {error}"))?;
    let digits = key.strip_prefix(&ED25519_PREFIX).map(hex);
    let digits = digits.filter(|digits| digits.len() == PUBLIC_KEY_DIGITS);
    digits.ok_or_else(|| "is a key of another kind: it must be Ed25519".to_owned())
}

/// Does it.
pub fn run(command: KeyCommand, server: &mut Server) -> Result<Outcome, Failure> {
    match command {
        KeyCommand::List { user } => {
            let path = target(KEYS, &[("user_id", user.map(|id| id.to_string()))]);
            let user = owner(server, user)?;
            let data = server.ask(&Request::get(path).for_user(user))?;
            // What the server calls items is the list.
            let items = data.get("items").cloned().unwrap_or(Value::Null);
            let text = table(&LISTED, rows_of(&items));
            Ok(Outcome::new(items, text))
        }
        KeyCommand::Add(arguments) => add(server, arguments),
        KeyCommand::Revoke { key, user } => {
            let path = target(KEYS, &[("api_key", Some(key.clone()))]);
            let user = owner(server, user)?;
            let data = server.ask(&Request::delete(path).for_user(user))?;
            Ok(Outcome::new(data, format!("key {key} is revoked\n")))
        }
    }
}

fn add(server: &mut Server, arguments: AddArguments) -> Result<Outcome, Failure> {
    let has_addresses = !arguments.addresses.is_empty();
    let wanted = body([
        ("user_id", optional(arguments.user)),
        ("name", arguments.name.into()),
        ("permissions", arguments.permissions.into()),
        ("addresses", optional(has_addresses.then_some(arguments.addresses))),
        ("expires_in_s", optional(arguments.expires)),
        ("public_key", optional(arguments.public_key)),
    ]);
    let user = owner(server, arguments.user)?;
    let made = server.ask(&Request::post(KEYS, wanted).for_user(user))?;
    let has_secret = made.get("api_secret").is_some();
    let shown = [LISTED[0], SECRET].into_iter().filter(|_| has_secret);
    let rest = if has_secret { &LISTED[1..8] } else { &LISTED[..8] };
    let columns: Vec<Column> = shown.chain(rest.iter().copied()).collect();
    let mut text = fields(&columns, &made);
    if has_secret {
        text.push_str("The secret is shown once and stored nowhere.\n");
    }
    Ok(Outcome::new(made, text))
}

fn owner(server: &Server, user: Option<u64>) -> Result<Option<u64>, Failure> {
    let is_missing = server.believes() && user.is_none();
    let rule = "user: is required in development mode, where a key is its user's own matter";
    if is_missing { Err(Failure::usage(rule)) } else { Ok(user) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_have_a_unit() {
        assert_eq!((life("90s"), life("45m")), (Ok(90), Ok(2_700)));
        assert_eq!((life("12h"), life("30d")), (Ok(43_200), Ok(2_592_000)));
        for bad in ["", "30", "d", "0d", "-1d", "1.5h", "99999999999999999999d", "1ü"] {
            assert!(life(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_public_key_is_digits_or_a_file_of_the_right_kind() {
        let digits = "AB".repeat(32);
        assert_eq!(public_key(&digits), Ok(digits.to_lowercase()));
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            public_key(path.to_str().unwrap())
        };
        // RFC 8410, section 10.1.
        let good = "-----BEGIN PUBLIC KEY-----\n\
            MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
            -----END PUBLIC KEY-----\n";
        let expected = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";
        assert_eq!(file("good.pem", good).as_deref(), Ok(expected));
        // The same curve's X25519.
        let other = good.replace("MCowBQYDK2Vw", "MCowBQYDK2Vu");
        assert!(file("other.pem", &other).unwrap_err().contains("Ed25519"));
        assert!(file("none.pem", "no key").unwrap_err().contains("PEM"));
        assert!(public_key("no such file").is_err());
    }
}
