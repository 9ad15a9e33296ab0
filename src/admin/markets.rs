//! `admin symbol …`, `admin asset …`, `admin halt` and `admin resume`.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use money::SymbolStatus;
use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::server::{Request, Server, path_of};
use super::table::{Column, Form, fields, table};
use super::{Outcome, optional, rows_of};

const PUBLIC_SYMBOLS: &str = "/api/v1/public/symbols";
const PUBLIC_ASSETS: &str = "/api/v1/public/assets";
const SYMBOLS: &str = "/api/v1/admin/symbols";
const ASSETS: &str = "/api/v1/admin/assets";

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  ringbook admin symbol list
  ringbook admin symbol add BTC_USDT --tick 0.01 --lot 0.0001 --taker-fee-ppm 500
  ringbook admin symbol add ETH_USDT --tick 0.01 --lot 0.0001 --shard 3
  ringbook admin symbol set BTC_USDT --maker-fee-ppm 0 --taker-fee-ppm 250
  ringbook admin symbol set BTC_USDT --status CANCEL_ONLY";

/// What `--help` ends with.
pub const ASSET_EXAMPLES: &str = "\
Examples:
  ringbook admin asset list
  ringbook admin asset add BTC 8";

/// What `--help` ends with.
pub const HALT_EXAMPLES: &str = "\
It says which symbols it has stopped; give those to `resume`. When some are refused the others are
stopped all the same, and the exit code is 1.

Examples:
  ringbook admin halt BTC_USDT
  ringbook admin halt --all
  ringbook admin halt --all --cancel-only";

/// What `--help` ends with.
pub const RESUME_EXAMPLES: &str = "\
There is no --all: it would also start what was stopped for another reason.

Example:
  ringbook admin resume BTC_USDT ETH_USDT";

const LISTED: [Column; 12] = [
    Column::of("symbol", Form::Text),
    Column::of("status", Form::Text),
    Column::of("tick", Form::Number),
    Column::of("lot", Form::Number),
    Column::new("min qty", "min_qty", Form::Number),
    Column::new("max qty", "max_qty", Form::Number),
    Column::new("min notional", "min_notional", Form::Number),
    Column::new("maker ppm", "maker_fee_ppm", Form::Number),
    Column::new("taker ppm", "taker_fee_ppm", Form::Number),
    Column::new("band ppm", "price_band_ppm", Form::Number),
    Column::new("reference", "reference_price", Form::Number),
    Column::of("shard", Form::Number),
];
const ASSET: [Column; 2] = [Column::of("asset", Form::Text), Column::of("decimals", Form::Number)];

/// `symbol …`.
#[derive(Debug, Subcommand)]
pub enum SymbolCommand {
    /// List the symbols with their rules
    List,
    /// Add a symbol; its two assets must be there
    #[command(group = clap::ArgGroup::new("rule").multiple(true))]
    Add {
        /// BASE_QUOTE
        #[arg(value_parser = symbol)]
        symbol: Pair,
        /// Price step
        #[arg(long, value_name = "PRICE")]
        tick: String,
        /// Quantity step
        #[arg(long, value_name = "QTY")]
        lot: String,
        /// The shard that its book is to be on; else it goes by the symbol's number
        #[arg(long, value_name = "N")]
        shard: Option<u16>,
        #[command(flatten)]
        rules: Rules,
    },
    /// Change rules of a symbol; what is not named stays
    #[command(group = clap::ArgGroup::new("rule").required(true).multiple(true))]
    Set {
        /// The symbol
        symbol: String,
        #[command(flatten)]
        rules: Rules,
    },
}

/// What of a symbol may change.
#[derive(Args, Debug)]
#[group(skip)]
pub struct Rules {
    /// Least quantity of an order
    #[arg(long, value_name = "QTY", group = "rule")]
    min_qty: Option<String>,
    /// Largest quantity of an order
    #[arg(long, value_name = "QTY", group = "rule")]
    max_qty: Option<String>,
    /// Least price times quantity of a limit order, in quote; 0: none
    #[arg(long, value_name = "AMOUNT", group = "rule")]
    min_notional: Option<String>,
    /// Fee of who was there first, in parts per million
    #[arg(long, value_name = "PPM", group = "rule")]
    maker_fee_ppm: Option<u32>,
    /// Fee of who came, in parts per million
    #[arg(long, value_name = "PPM", group = "rule")]
    taker_fee_ppm: Option<u32>,
    /// How far from the reference price a price may be, in parts per million; 0: any
    #[arg(long, value_name = "PPM", group = "rule")]
    price_band_ppm: Option<u32>,
    /// What may be done
    #[arg(long, ignore_case = true, value_parser = statuses(), group = "rule")]
    status: Option<String>,
    /// The price that the band lies around
    #[arg(long, value_name = "PRICE", group = "rule")]
    reference_price: Option<String>,
}

/// `asset …`.
#[derive(Debug, Subcommand)]
pub enum AssetCommand {
    /// List the assets
    List,
    /// Add an asset
    Add {
        /// Its name: A to Z and 0 to 9, 1 to 16 of them
        asset: String,
        /// Digits behind the point, 0 to 24
        decimals: u8,
    },
}

/// `halt`.
#[derive(Args, Debug)]
pub struct HaltArguments {
    /// The symbols
    #[arg(value_name = "SYMBOL", required_unless_present = "all", conflicts_with = "all")]
    symbols: Vec<String>,
    /// Every symbol that is not stopped yet
    #[arg(long)]
    all: bool,
    /// Users may still cancel
    #[arg(long)]
    cancel_only: bool,
}

/// `resume`.
#[derive(Args, Debug)]
pub struct ResumeArguments {
    /// The symbols
    #[arg(value_name = "SYMBOL", required = true)]
    symbols: Vec<String>,
}

/// A symbol's name and its assets.
#[derive(Clone, Debug)]
pub struct Pair {
    symbol: String,
    base: String,
    quote: String,
}

fn symbol(text: &str) -> Result<Pair, String> {
    let (base, quote) = text.split_once('_').ok_or("must be BASE_QUOTE")?;
    Ok(Pair { symbol: text.to_owned(), base: base.to_owned(), quote: quote.to_owned() })
}

fn statuses() -> impl TypedValueParser<Value = String> {
    let words: Vec<&'static str> = SymbolStatus::ALL.iter().map(|word| word.as_str()).collect();
    PossibleValuesParser::new(words).map(|word| word.to_uppercase())
}

impl Rules {
    fn into_body(self) -> Map<String, Value> {
        let fields = [
            ("min_qty", optional(self.min_qty)),
            ("max_qty", optional(self.max_qty)),
            ("min_notional", optional(self.min_notional)),
            ("maker_fee_ppm", optional(self.maker_fee_ppm)),
            ("taker_fee_ppm", optional(self.taker_fee_ppm)),
            ("price_band_ppm", optional(self.price_band_ppm)),
            ("status", optional(self.status)),
            ("reference_price", optional(self.reference_price)),
        ];
        let given = fields.into_iter().filter(|(_, value)| !value.is_null());
        given.map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// Does it.
pub fn run(command: SymbolCommand, server: &mut Server) -> Result<Outcome, Failure> {
    let one = |data: Value| {
        let text = fields(&LISTED, &data);
        Outcome::new(data, text)
    };
    match command {
        SymbolCommand::List => {
            let data = server.ask(&Request::get(PUBLIC_SYMBOLS))?;
            let text = table(&LISTED, rows_of(&data));
            Ok(Outcome::new(data, text))
        }
        SymbolCommand::Add { symbol, tick, lot, shard, rules } => {
            let mut new = rules.into_body();
            new.extend(shard.map(|shard| ("shard".to_owned(), shard.into())));
            for (name, value) in [
                ("symbol", symbol.symbol),
                ("base", symbol.base),
                ("quote", symbol.quote),
                ("tick", tick),
                ("lot", lot),
            ] {
                new.insert(name.to_owned(), value.into());
            }
            server.ask(&Request::post(SYMBOLS, Value::Object(new))).map(one)
        }
        SymbolCommand::Set { symbol, rules } => {
            let wanted = Value::Object(rules.into_body());
            let request = Request::patch(path_of(SYMBOLS, &symbol), wanted).repeatable();
            server.ask(&request).map(one)
        }
    }
}

/// Does it.
pub fn run_asset(command: AssetCommand, server: &mut Server) -> Result<Outcome, Failure> {
    let (data, rows) = match command {
        AssetCommand::List => {
            let data = server.ask(&Request::get(PUBLIC_ASSETS))?;
            (data.clone(), data)
        }
        AssetCommand::Add { asset, decimals } => {
            let new = json!({"asset": asset, "decimals": decimals});
            let data = server.ask(&Request::post(ASSETS, new))?;
            (data.clone(), json!([data]))
        }
    };
    let text = table(&ASSET, rows_of(&rows));
    Ok(Outcome::new(data, text))
}

/// Stops symbols.
pub fn halt(arguments: HaltArguments, server: &mut Server) -> Result<Outcome, Failure> {
    let status = match arguments.cancel_only {
        true => SymbolStatus::CancelOnly,
        false => SymbolStatus::Halted,
    };
    if !arguments.all {
        return set_status(server, &arguments.symbols, status);
    }
    let all = server.ask(&Request::get(PUBLIC_SYMBOLS))?;
    let halted = SymbolStatus::Halted.as_str();
    // What is HALTED already is stopped more than CANCEL_ONLY is.
    let is_to_stop = |row: &&Value| row["status"] != halted && row["status"] != status.as_str();
    let names = rows_of(&all).iter().filter(is_to_stop).filter_map(|row| row["symbol"].as_str());
    let names: Vec<String> = names.map(str::to_owned).collect();
    set_status(server, &names, status)
}

/// Lets symbols trade.
pub fn resume(arguments: ResumeArguments, server: &mut Server) -> Result<Outcome, Failure> {
    set_status(server, &arguments.symbols, SymbolStatus::Trading)
}

/// One after the other: one that is refused must not keep the rest trading.
fn set_status(
    server: &mut Server,
    symbols: &[String],
    status: SymbolStatus,
) -> Result<Outcome, Failure> {
    let (mut done, mut failed) = (Vec::new(), None);
    for symbol in symbols {
        let wanted = json!({"status": status.as_str()});
        let request = Request::patch(path_of(SYMBOLS, symbol), wanted).repeatable();
        match server.ask(&request) {
            Ok(row) => done.push(row),
            Err(failure) => {
                let goes_on = failure.is_refusal();
                failed.get_or_insert(failure.about(symbol));
                if !goes_on {
                    break;
                }
            }
        }
    }
    let text = table(&LISTED[..2], &done);
    Ok(Outcome::new(Value::Array(done), text).with_failure(failed))
}
