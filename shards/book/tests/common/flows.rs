//! The real flows: command streams with the fills and the book that are expected of them.
//!
//! The data lies outside the project: in `RINGBOOK_DATA`, or in `shared/data` beside the checkout.
#![allow(dead_code, missing_docs)]

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use book::{Event, RestingOrder, Taker};
use flate2::read::GzDecoder;
use money::{
    AssetId, Decimal, Lots, OrderId, Price, SelfTrade, Side, SymbolRules, SymbolSpec, TimeInForce,
    UserId,
};

#[derive(Clone, Copy, Debug)]
pub enum Command {
    Place(Taker),
    Cancel(OrderId),
    Reduce(OrderId, Lots),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    pub taker: OrderId,
    pub maker: OrderId,
    pub price: Price,
    pub qty: Lots,
}

/// One set, with ids as the server gives them: some refs are text.
pub struct Flow {
    pub name: String,
    pub symbol: SymbolSpec,
    pub commands: Vec<Command>,
    pub trades: Vec<Trade>,
    /// Buys, then sells, in priority order. The users are left 0: the data does not say.
    pub book_after: Vec<RestingOrder>,
}

impl Flow {
    /// Reads a set; `None`, and a line that says so, where it is absent.
    pub fn load(set: &str) -> Option<Flow> {
        let root = std::env::var_os("RINGBOOK_DATA").map(PathBuf::from);
        let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
        let folder = root.unwrap_or_else(beside).join(set);
        if !folder.is_dir() {
            println!("skipped: no data in {}", folder.display());
            return None;
        }
        let symbol = read_symbol(&folder);
        let mut ids = HashMap::new();
        let commands = read_commands(&folder, &symbol, &mut ids);
        let trade = |row: Vec<String>| Trade {
            taker: ids[&row[1]],
            maker: ids[&row[2]],
            price: price(&symbol, &row[3]),
            qty: lots(&symbol, &row[4]),
        };
        let trades = rows(folder.join("trades.csv.gz")).map(trade).collect();
        let resting = |row: Vec<String>| RestingOrder {
            id: ids[&row[2]],
            user: UserId(0),
            side: Side::parse(&row[0]).unwrap(),
            price: price(&symbol, &row[1]),
            remaining: lots(&symbol, &row[3]),
        };
        let book_after = rows(folder.join("book_after.csv.gz")).map(resting).collect();
        Some(Flow { name: set.to_owned(), symbol, commands, trades, book_after })
    }
}

/// The trade in an event of this taker.
pub fn trade(taker: OrderId, event: &Event) -> Trade {
    match *event {
        Event::Fill { maker, price, qty, .. } => Trade { taker, maker, price, qty },
        Event::MakerExpired { .. } => panic!("no flow has self-trade prevention"),
    }
}

fn read_commands(
    folder: &Path,
    symbol: &SymbolSpec,
    ids: &mut HashMap<String, OrderId>,
) -> Vec<Command> {
    let rejected: HashSet<String> =
        rows(folder.join("rejected.csv.gz")).map(|row| row[0].clone()).collect();
    let mut commands = Vec::new();
    for row in rows(folder.join("flow.csv.gz")) {
        let next = OrderId((ids.len() as u64 + 1) << money::SHARD_BITS);
        let id = *ids.entry(row[1].clone()).or_insert(next);
        match row[0].as_str() {
            "place" if rejected.contains(&row[1]) => {}
            "place" => commands.push(Command::Place(taker(symbol, id, &row))),
            "cancel" => commands.push(Command::Cancel(id)),
            "reduce" => commands.push(Command::Reduce(id, lots(symbol, &row[6]))),
            other => panic!("unknown command {other}"),
        }
    }
    commands
}

fn taker(symbol: &SymbolSpec, id: OrderId, row: &[String]) -> Taker {
    Taker {
        id,
        user: UserId(row[2].parse().unwrap()),
        side: Side::parse(&row[3]).unwrap(),
        price: price(symbol, &row[5]),
        qty: lots(symbol, &row[6]),
        budget: None,
        time_in_force: TimeInForce::parse(&row[4]).unwrap(),
        post_only: false,
        market: false,
        self_trade: SelfTrade::None,
    }
}

/// The rows of a compressed table, without its header.
fn rows(path: PathBuf) -> impl Iterator<Item = Vec<String>> {
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = BufReader::new(GzDecoder::new(file)).lines().skip(1);
    lines.map(|line| line.unwrap().split(',').map(str::to_owned).collect())
}

fn read_symbol(folder: &Path) -> SymbolSpec {
    let text = std::fs::read_to_string(folder.join("market.json")).unwrap();
    let field = |name: &str| {
        let (_, rest) = text.split_once(&format!("\"{name}\":")).unwrap();
        rest.split([',', '\n', '}']).next().unwrap().trim().trim_matches('"').to_owned()
    };
    let number = |name: &str| field(name).parse::<u8>().unwrap();
    let tick = Decimal::parse(&field("tick")).unwrap();
    let lot = Decimal::parse(&field("lot")).unwrap();
    let tick_decimals = tick.scale() as u8;
    SymbolSpec {
        name: field("symbol"),
        base: AssetId(0),
        quote: AssetId(1),
        base_decimals: number("base_decimals"),
        quote_decimals: number("quote_decimals"),
        tick_mantissa: tick.to_units(tick_decimals).unwrap() as u64,
        tick_decimals,
        lot_units: lot.to_units(number("base_decimals")).unwrap() as u64,
        rules: SymbolRules::default(),
    }
}

fn price(symbol: &SymbolSpec, text: &str) -> Price {
    symbol.price(Decimal::parse(text).unwrap()).unwrap()
}

fn lots(symbol: &SymbolSpec, text: &str) -> Lots {
    symbol.qty(Decimal::parse(text).unwrap()).unwrap()
}
