//! The exchange that the load trades on: its assets, symbols and users, as the configuration that a
//! new data directory begins with, and the arithmetic of its trades.

use std::fmt::Write;

/// Names and decimals.
pub const ASSETS: [(&str, u32); 3] = [("BTC", 8), ("ETH", 8), ("USDT", 2)];
/// Names, and base and quote as places in [`ASSETS`].
pub const SYMBOLS: [Symbol; 3] = [
    Symbol { name: "BTC_USDT", base: 0, quote: 2 },
    Symbol { name: "ETH_USDT", base: 1, quote: 2 },
    Symbol { name: "ETH_BTC", base: 1, quote: 0 },
];
/// The first user; the others follow.
pub const FIRST_USER: u64 = 1001;
/// Decimals of every price.
const PRICE_DECIMALS: u32 = 2;
/// What most users begin with, by asset, in whole units of the asset.
const RICH: [i128; 3] = [100_000, 100_000, 10_000_000];
/// Every fourth user is refused now and then.
const POOR: [i128; 3] = [20, 2, 2_000];
const POOR_EVERY: u64 = 4;

/// A symbol. All have the tick 0.01 and the lot 0.0001.
#[derive(Clone, Copy, Debug)]
pub struct Symbol {
    pub name: &'static str,
    pub base: usize,
    pub quote: usize,
}

impl Symbol {
    /// Price × quantity in units of the quote asset, rounded down, and whether that cut something.
    pub fn quote_amount(&self, price: i128, qty: i128) -> (i128, bool) {
        let decimals = PRICE_DECIMALS + ASSETS[self.base].1 - ASSETS[self.quote].1;
        let scale = 10_i128.pow(decimals);
        let product = price * qty;
        (product / scale, product % scale != 0)
    }
}

/// The place of a symbol in [`SYMBOLS`].
#[track_caller]
pub fn symbol_index(name: &str) -> usize {
    let found = SYMBOLS.iter().position(|symbol| symbol.name == name);
    found.unwrap_or_else(|| panic!("no such symbol: {name}"))
}

/// The place of an asset in [`ASSETS`].
#[track_caller]
pub fn asset_index(name: &str) -> usize {
    let found = ASSETS.iter().position(|&(known, _)| known == name);
    found.unwrap_or_else(|| panic!("no such asset: {name}"))
}

/// What a user begins with of an asset, in units.
pub fn initial_balance(user: u64, asset: usize) -> i128 {
    let is_poor = user.is_multiple_of(POOR_EVERY);
    let whole = if is_poor { POOR[asset] } else { RICH[asset] };
    whole * 10_i128.pow(ASSETS[asset].1)
}

/// Units as the decimal that the wire shows.
pub fn decimal(units: i128, decimals: u32) -> String {
    let scale = 10_i128.pow(decimals);
    format!("{}.{:0width$}", units / scale, units % scale, width = decimals as usize)
}

/// The configuration file: with it the first start makes the exchange, and may be killed over it.
pub fn configuration(users: u64) -> String {
    let mut text = String::new();
    for (name, decimals) in ASSETS {
        let _ = writeln!(text, "[[assets]]\nasset = \"{name}\"\ndecimals = {decimals}\n");
    }
    for Symbol { name, base, quote } in SYMBOLS {
        let _ = writeln!(
            text,
            "[[symbols]]\nsymbol = \"{name}\"\nbase = \"{}\"\nquote = \"{}\"\ntick = \"0.01\"\n\
             lot = \"0.0001\"\nmaker_fee_ppm = 130\ntaker_fee_ppm = 710\nprice_band_ppm = 200000\n\
             reference_price = \"100\"\n",
            ASSETS[base].0, ASSETS[quote].0
        );
    }
    for user in FIRST_USER..FIRST_USER + users {
        let balance = |asset: usize| {
            let (name, decimals) = ASSETS[asset];
            format!("{name} = \"{}\"", decimal(initial_balance(user, asset), decimals))
        };
        let balances: Vec<String> = (0..ASSETS.len()).map(balance).collect();
        let _ = writeln!(
            text,
            "[[users]]\nuser_id = {user}\nbalances = {{ {} }}\n",
            balances.join(", ")
        );
    }
    text
}
