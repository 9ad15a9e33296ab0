//! Reads a folder of real order flow: see `shared/data/README.md` beside the checkout.
//!
//! The data lies outside the project: in `RINGBOOK_DATA`, or in `shared/data` beside the checkout.
//! Where it is absent, whoever needs it says so and goes on.

#![allow(dead_code)]

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use engine::{Command, OrderRef, Place};
use flate2::read::GzDecoder;
use money::{
    AssetId, Cid, Decimal, Lots, OrderKind, Price, SelfTrade, Side, SymbolId, SymbolRules,
    SymbolSpec, TimeInForce, Units, UserId,
};

/// The traded asset and what it is paid with.
pub const BASE: AssetId = AssetId(0);
/// See [`BASE`].
pub const QUOTE: AssetId = AssetId(1);

pub struct Set {
    pub folder: PathBuf,
    pub spec: SymbolSpec,
    /// Name and decimals of base and quote.
    pub assets: [(String, u8); 2],
    /// The deposits before the first command.
    pub deposits: Vec<(UserId, AssetId, Units)>,
    pub flow: Vec<Command>,
}

impl Set {
    /// `None`, said aloud, when the data is not there.
    pub fn load(name: &str) -> Option<Set> {
        let root = std::env::var_os("RINGBOOK_DATA").map(PathBuf::from);
        let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
        let folder = root.unwrap_or_else(beside).join(name);
        if !folder.is_dir() {
            println!("skipped: no data in {}", folder.display());
            return None;
        }
        let (spec, assets) = market(&folder);
        let mut set = Set { folder, spec, assets, deposits: Vec::new(), flow: Vec::new() };
        for row in set.plain_rows("balances.csv") {
            let (asset, decimals) = set.asset(&row[1]);
            let amount = units(&row[2], decimals);
            set.deposits.push((UserId(row[0].parse().unwrap()), asset, amount));
        }
        set.flow = set.rows("flow.csv.gz").map(|row| set.command(&row)).collect();
        Some(set)
    }

    fn asset(&self, name: &str) -> (AssetId, u8) {
        let at = self.assets.iter().position(|asset| asset.0 == name).unwrap();
        (AssetId(at as u32), self.assets[at].1)
    }

    fn command(&self, row: &[String]) -> Command {
        let cid = Cid::parse(&row[1]).unwrap();
        let (user, order) = (UserId(row[2].parse().unwrap()), OrderRef::Cid(cid));
        match row[0].as_str() {
            "cancel" => Command::Cancel { user, order },
            "reduce" => Command::Reduce { user, order, by: self.lots(&row[6]) },
            "place" => Command::Place(Place {
                user,
                symbol: SymbolId(0),
                side: Side::parse(&row[3]).unwrap(),
                kind: OrderKind::Limit,
                time_in_force: TimeInForce::parse(&row[4]).unwrap(),
                self_trade: SelfTrade::None,
                wait: false,
                price: self.price(&row[5]),
                qty: self.lots(&row[6]),
                quote_qty: None,
                cid: Some(cid),
            }),
            other => panic!("unknown command {other}"),
        }
    }

    pub fn price(&self, text: &str) -> Price {
        self.spec.price(Decimal::parse(text).unwrap()).unwrap()
    }

    pub fn lots(&self, text: &str) -> Lots {
        self.spec.qty(Decimal::parse(text).unwrap()).unwrap()
    }

    /// `user_id,asset,avail,frozen`.
    pub fn balances(&self, file: &str) -> Vec<(UserId, AssetId, Units, Units)> {
        let rows = self.plain_rows(file).into_iter();
        rows.map(|row| {
            let (asset, decimals) = self.asset(&row[1]);
            let user = UserId(row[0].parse().unwrap());
            (user, asset, units(&row[2], decimals), units(&row[3], decimals))
        })
        .collect()
    }

    /// The rows of a compressed table, without its header.
    pub fn rows(&self, file: &str) -> impl Iterator<Item = Vec<String>> + use<> {
        let file = File::open(self.folder.join(file)).unwrap();
        let lines = BufReader::new(GzDecoder::new(file)).lines().skip(1);
        lines.map(|line| line.unwrap().split(',').map(str::to_owned).collect())
    }

    fn plain_rows(&self, file: &str) -> Vec<Vec<String>> {
        let text = std::fs::read_to_string(self.folder.join(file)).unwrap();
        text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
    }
}

fn units(text: &str, decimals: u8) -> Units {
    Decimal::parse(text).unwrap().to_units(decimals).unwrap()
}

fn market(folder: &Path) -> (SymbolSpec, [(String, u8); 2]) {
    let text = std::fs::read_to_string(folder.join("market.json")).unwrap();
    let field = |name: &str| {
        let (_, rest) = text.split_once(&format!("\"{name}\":")).unwrap();
        rest.split([',', '\n', '}']).next().unwrap().trim().trim_matches('"').to_owned()
    };
    let number = |name: &str| field(name).parse::<u8>().unwrap();
    let (base_decimals, quote_decimals) = (number("base_decimals"), number("quote_decimals"));
    let tick = Decimal::parse(&field("tick")).unwrap();
    let tick_decimals = tick.scale() as u8;
    let lot = Decimal::parse(&field("lot")).unwrap();
    let spec = SymbolSpec {
        name: field("symbol"),
        base: BASE,
        quote: QUOTE,
        base_decimals,
        quote_decimals,
        tick_mantissa: tick.to_units(tick_decimals).unwrap() as u64,
        tick_decimals,
        lot_units: lot.to_units(base_decimals).unwrap() as u64,
        rules: SymbolRules::default(),
    };
    (spec, [(field("base"), base_decimals), (field("quote"), quote_decimals)])
}
