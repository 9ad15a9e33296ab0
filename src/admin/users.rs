//! `admin user …` and `admin role …`.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use identity::Role;
use serde_json::{Value, json};

use super::failure::Failure;
use super::server::{PAGE_ROWS, Request, Server, body, path_of, target};
use super::table::{Column, Form, fields, table};
use super::{Outcome, optional, password, rows_of, user_id};

const USERS: &str = "/api/v1/admin/users";
const BALANCES: &str = "/api/v1/admin/balances";
const ROLES: &str = "/api/auth/roles";
/// Most users of one list.
const MAX_USERS: usize = 100 * PAGE_ROWS;

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  ringbook admin user add --id 1001 --name desk
  ringbook admin user list
  ringbook admin user show 1001
  ringbook admin user set 1001 --role MARKET_MAKER --orders-per-second 2000 --burst 200
  ringbook admin user set 1001 --password                    asks for it twice, without echo
  ringbook admin user set 1001 --password < password.txt     its first line
  ringbook admin user freeze 1001";

/// What `--help` ends with.
pub const ROLE_EXAMPLES: &str = "\
Examples:
  ringbook admin role list
  ringbook admin role set 1001 AUDITOR";

const LISTED: [Column; 4] = [
    Column::new("user", "user_id", Form::Number),
    Column::of("role", Form::Text),
    Column::of("frozen", Form::Flag),
    Column::of("name", Form::Text),
];
const SHOWN: [Column; 9] = [
    Column::new("user", "user_id", Form::Number),
    Column::of("name", Form::Text),
    Column::of("role", Form::Text),
    Column::of("frozen", Form::Flag),
    Column::new("password", "has_password", Form::Flag),
    Column::of("keys", Form::Number),
    Column::of("sessions", Form::Number),
    Column::new("orders per second", "orders_per_second", Form::Number),
    Column::of("burst", Form::Number),
];
const BALANCE: [Column; 4] = [
    Column::of("asset", Form::Text),
    Column::of("avail", Form::Number),
    Column::of("frozen", Form::Number),
    Column::of("total", Form::Number),
];
const ROLE: [Column; 2] = [Column::of("role", Form::Text), Column::of("allows", Form::List)];
const HOLDER: [Column; 2] =
    [Column::new("user", "user_id", Form::Number), Column::of("role", Form::Text)];

/// `user …`.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make a user; without an id the server gives one
    Add {
        /// The id
        #[arg(long, value_name = "ID", value_parser = user_id)]
        id: Option<u64>,
        /// A name for people, 1 to 64 bytes
        #[arg(long)]
        name: Option<String>,
    },
    /// List users by id
    List {
        /// Only those behind this id
        #[arg(long, value_name = "ID", value_parser = user_id)]
        after: Option<u64>,
        /// Most of them
        #[arg(long, value_name = "N", default_value_t = MAX_USERS as u64)]
        #[arg(value_parser = clap::value_parser!(u64).range(1..=MAX_USERS as u64))]
        limit: u64,
    },
    /// Show one user
    Show {
        /// The user
        #[arg(value_name = "USER", value_parser = user_id)]
        user: u64,
    },
    /// Show what one user has
    Balances {
        /// The user
        #[arg(value_name = "USER", value_parser = user_id)]
        user: u64,
    },
    /// Change a user's role, password or rate
    Set(SetArguments),
    /// Freeze a user, who may then look and cancel, nothing else
    Freeze {
        /// The user
        #[arg(value_name = "USER", value_parser = user_id)]
        user: u64,
    },
    /// End that
    Unfreeze {
        /// The user
        #[arg(value_name = "USER", value_parser = user_id)]
        user: u64,
    },
}

/// `user set`.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
pub struct SetArguments {
    /// The user
    #[arg(value_name = "USER", value_parser = user_id)]
    user: u64,
    /// What the user may
    #[arg(long, group = "change", ignore_case = true, value_parser = roles())]
    role: Option<String>,
    /// A new password, 8 to 256 bytes: asked for at a terminal, else the first line of stdin. It is
    /// never an argument, which every process of the machine can see
    #[arg(long, group = "change")]
    password: bool,
    /// Orders a second; 0: as the role has it
    #[arg(long, group = "change", value_name = "N")]
    orders_per_second: Option<u32>,
    /// How many of them at once [default: a tenth of --orders-per-second]
    #[arg(long, value_name = "N", requires = "orders_per_second")]
    burst: Option<u32>,
}

/// `role …`.
#[derive(Debug, Subcommand)]
pub enum RoleCommand {
    /// What roles allow, and who has one other than USER
    List,
    /// Give a user a role
    Set {
        /// The user
        #[arg(value_name = "USER", value_parser = user_id)]
        user: u64,
        /// The role
        #[arg(ignore_case = true, value_parser = roles())]
        role: String,
    },
}

fn roles() -> impl TypedValueParser<Value = String> {
    PossibleValuesParser::new(Role::ALL.map(Role::as_str)).map(|word| word.to_uppercase())
}

/// Does it.
pub fn run(command: UserCommand, server: &mut Server) -> Result<Outcome, Failure> {
    match command {
        UserCommand::Add { id, name } => {
            let new = body([("user_id", optional(id)), ("name", optional(name))]);
            let made = server.ask(&Request::post(USERS, new))?;
            let text = format!("user {} is made\n", made["user_id"]);
            Ok(Outcome::new(made, text))
        }
        UserCommand::List { after, limit } => list(server, after, limit as usize),
        UserCommand::Show { user } => show(server, user),
        UserCommand::Balances { user } => {
            let path = target(BALANCES, &[("user_id", Some(user.to_string()))]);
            let data = server.ask(&Request::get(path))?;
            let text = table(&BALANCE, rows_of(&data));
            Ok(Outcome::new(data, text))
        }
        UserCommand::Set(arguments) => set(server, arguments),
        UserCommand::Freeze { user } => change(server, user, json!({"frozen": true})),
        UserCommand::Unfreeze { user } => change(server, user, json!({"frozen": false})),
    }
}

fn list(server: &mut Server, after: Option<u64>, most: usize) -> Result<Outcome, Failure> {
    let found = server.list(USERS, "user_id", after, most)?;
    let last = found.rows.last().map(|row| row["user_id"].to_string()).unwrap_or_default();
    let note = found.has_more.then(|| format!("there may be more: --after {last}"));
    let text = table(&LISTED, &found.rows);
    Ok(Outcome::new(Value::Array(found.rows), text).with_note(note))
}

fn show(server: &mut Server, user: u64) -> Result<Outcome, Failure> {
    let data = server.ask(&Request::get(path_of(USERS, &user.to_string())))?;
    let text = fields(&SHOWN, &data);
    Ok(Outcome::new(data, text))
}

fn set(server: &mut Server, arguments: SetArguments) -> Result<Outcome, Failure> {
    let new = arguments.password.then(password::ask).transpose()?;
    let wanted = body([
        ("role", optional(arguments.role)),
        ("password", optional(new)),
        ("orders_per_second", optional(arguments.orders_per_second)),
        ("burst", optional(arguments.burst)),
    ]);
    change(server, arguments.user, wanted)
}

/// A change is what it is however often it is made; afterwards the user is shown.
fn change(server: &mut Server, user: u64, wanted: Value) -> Result<Outcome, Failure> {
    server.ask(&Request::patch(path_of(USERS, &user.to_string()), wanted).repeatable())?;
    show(server, user)
}

/// Does it.
pub fn run_role(command: RoleCommand, server: &mut Server) -> Result<Outcome, Failure> {
    match command {
        RoleCommand::List => {
            let data = server.ask(&Request::get(ROLES))?;
            let (roles, users) = (rows_of(&data["roles"]), rows_of(&data["users"]));
            let text = format!("{}\n{}", table(&ROLE, roles), table(&HOLDER, users));
            Ok(Outcome::new(data, text))
        }
        RoleCommand::Set { user, role } => {
            let wanted = json!({"user_id": user, "role": role});
            let data = server.ask(&Request::post(ROLES, wanted).repeatable())?;
            Ok(Outcome::new(data, format!("user {user} is {role}\n")))
        }
    }
}
