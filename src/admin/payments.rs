//! `admin deposit` and `admin withdraw …`.
//!
//! A payment has a name, and the same one twice pays once. Nothing here pays again by itself; whoever does
//! not know whether a payment was made gives its name again.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::failure::Failure;
use super::server::{PAGE_ROWS, Request, Server, target};
use super::table::{Column, Form, fields, table};
use super::{Outcome, init, rows_of, user_id};

const DEPOSITS: &str = "/api/v1/admin/deposits";
const WITHDRAWALS: &str = "/api/v1/admin/withdrawals";
/// Random bytes of a name that is made here.
const REFERENCE_BYTES: usize = 16;

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Without --ref a name is made and said before anything is sent. The same name again pays nothing and
answers the same, so after a failure give it with --ref.

Examples:
  ringbook admin deposit 1001 USDT 2500.00 --ref wire-2026-01-31-7
  ringbook admin deposit 1001 BTC 0.5";

/// What `--help` ends with.
pub const WITHDRAW_EXAMPLES: &str = "\
Examples:
  ringbook admin withdraw list                       those of all users that wait
  ringbook admin withdraw list --user 1001           all of one user, newest first
  ringbook admin withdraw confirm 1001 w-1
  ringbook admin withdraw reject 1001 w-1
  ringbook admin withdraw pay 1001 USDT 100 --ref p-1     at once, without a request of the user";

const PAID: [Column; 6] = [
    Column::new("user", "user_id", Form::Number),
    Column::of("asset", Form::Text),
    Column::of("avail", Form::Number),
    Column::of("frozen", Form::Number),
    Column::of("total", Form::Number),
    Column::of("ref", Form::Text),
];
const LISTED: [Column; 8] = [
    Column::new("user", "user_id", Form::Number),
    Column::of("ref", Form::Text),
    Column::of("asset", Form::Text),
    Column::of("amount", Form::Number),
    Column::of("status", Form::Text),
    Column::new("requested", "requested_at", Form::Ms),
    Column::new("ended", "ended_at", Form::Ms),
    Column::of("to", Form::Text),
];

/// `deposit`, and `withdraw pay`.
#[derive(Args, Debug)]
pub struct PaymentArguments {
    /// Whose
    #[arg(value_name = "USER", value_parser = user_id)]
    user: u64,
    /// Of what
    asset: String,
    /// How much
    amount: String,
    /// Your name of the payment, 1 to 64 bytes [default: one is made]
    #[arg(long = "ref", value_name = "REF")]
    reference: Option<String>,
}

/// `withdraw …`.
#[derive(Debug, Subcommand)]
pub enum WithdrawCommand {
    /// List those that wait, or all of one user
    List {
        /// All of this user
        #[arg(long, value_name = "ID", value_parser = user_id)]
        user: Option<u64>,
    },
    /// Pay out what a user has asked for
    Confirm(EndArguments),
    /// Give it back to the user
    Reject(EndArguments),
    /// Pay out at once, without a request of the user
    Pay(PaymentArguments),
}

/// `withdraw confirm`, `withdraw reject`.
#[derive(Args, Debug)]
pub struct EndArguments {
    /// Whose
    #[arg(value_name = "USER", value_parser = user_id)]
    user: u64,
    /// The user's name of it
    #[arg(value_name = "REF")]
    reference: String,
}

/// Pays in.
pub fn deposit(
    arguments: PaymentArguments,
    server: &mut Server,
    is_json: bool,
) -> Result<Outcome, Failure> {
    pay(DEPOSITS, arguments, server, is_json)
}

fn pay(
    path: &str,
    arguments: PaymentArguments,
    server: &mut Server,
    is_json: bool,
) -> Result<Outcome, Failure> {
    let PaymentArguments { user, asset, amount, reference } = arguments;
    let reference = match reference {
        Some(reference) => reference,
        None => made_reference(is_json)?,
    };
    let payment = json!({"user_id": user, "asset": asset, "amount": amount, "ref": reference});
    let paid = server.ask(&Request::post(path, payment));
    let mut data = paid.map_err(|failure| failure.with_reference(&reference))?;
    if let Value::Object(object) = &mut data {
        object.insert("user_id".to_owned(), user.into());
        object.insert("ref".to_owned(), reference.into());
    }
    let text = fields(&PAID, &data);
    Ok(Outcome::new(data, text))
}

/// Said before the payment: afterwards there may be nobody left to say it.
fn made_reference(is_json: bool) -> Result<String, Failure> {
    let bytes = init::random::<REFERENCE_BYTES>();
    let bytes = bytes.map_err(|error| Failure::usage(format!("ref: {error:#}")))?;
    let reference = format!("admin-{}", super::hex(&bytes));
    super::note(&format!("the payment is --ref {reference}"), is_json);
    Ok(reference)
}

/// Does it.
pub fn withdraw(
    command: WithdrawCommand,
    server: &mut Server,
    is_json: bool,
) -> Result<Outcome, Failure> {
    match command {
        WithdrawCommand::List { user } => list(server, user),
        WithdrawCommand::Confirm(arguments) => end(server, "confirm", arguments),
        WithdrawCommand::Reject(arguments) => end(server, "reject", arguments),
        WithdrawCommand::Pay(arguments) => pay(WITHDRAWALS, arguments, server, is_json),
    }
}

/// The server gives one page and no way behind it.
fn list(server: &mut Server, user: Option<u64>) -> Result<Outcome, Failure> {
    let limit = Some(PAGE_ROWS.to_string());
    let parameters = [("user_id", user.map(|id| id.to_string())), ("limit", limit)];
    let data = server.ask(&Request::get(target(WITHDRAWALS, &parameters)))?;
    let is_full = rows_of(&data).len() >= PAGE_ROWS;
    let note = is_full.then(|| format!("there may be more than {PAGE_ROWS}"));
    let text = table(&LISTED, rows_of(&data));
    Ok(Outcome::new(data, text).with_note(note))
}

fn end(server: &mut Server, how: &str, arguments: EndArguments) -> Result<Outcome, Failure> {
    let which = json!({"user_id": arguments.user, "ref": arguments.reference});
    // The same end again answers the same.
    let request = Request::post(format!("{WITHDRAWALS}/{how}"), which).repeatable();
    let data = server.ask(&request)?;
    let text = fields(&LISTED, &data);
    Ok(Outcome::new(data, text))
}
