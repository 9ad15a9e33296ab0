//! The channels that a connection may subscribe to, and their names.

use engine::Registry;
use money::SymbolId;

use crate::json::write;
use crate::native::amounts::symbol_entry;
use engine::Interval;

/// A stream of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// `order_updates`: the user's orders.
    OrderUpdates,
    /// `balance_updates`: the user's balances.
    BalanceUpdates,
    /// `trades`: the user's trades.
    OwnTrades,
    /// `trades:BTC_USDT`: every trade of the symbol.
    Trades(SymbolId),
    /// `depth:BTC_USDT`: the book's changes, put together over 100 ms.
    Depth(SymbolId),
    /// `depth_realtime:BTC_USDT`: each change of the book.
    DepthRealtime(SymbolId),
    /// `bbo:BTC_USDT`: best bid and best offer.
    Bbo(SymbolId),
    /// `kline_1m:BTC_USDT`: the candle under way.
    Kline(Interval, SymbolId),
    /// `ticker:BTC_USDT`: the last 24 hours.
    Ticker(SymbolId),
}

/// What an authenticated connection gets without asking.
pub const PRIVATE_CHANNELS: [Channel; 3] =
    [Channel::OrderUpdates, Channel::BalanceUpdates, Channel::OwnTrades];

/// Before the symbol in the name of a candle's channel, then its interval.
const KLINE_PREFIX: &str = "kline_";

/// Why a text names no channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ChannelError {
    #[error(
        "must be order_updates, balance_updates, trades, or, with :SYMBOL behind it, trades, depth, \
         depth_realtime, bbo, ticker, kline_1m, kline_5m, kline_15m, kline_30m, kline_1h, kline_4h \
         or kline_1d"
    )]
    UnknownChannel,
    #[error("unknown symbol")]
    UnknownSymbol,
}

impl Channel {
    /// The channel of this name.
    pub(super) fn read(name: &str, registry: &Registry) -> Result<Channel, ChannelError> {
        let Some((kind, symbol)) = name.split_once(':') else {
            let channel = PRIVATE_CHANNELS.into_iter().find(|channel| channel.kind() == name);
            return channel.ok_or(ChannelError::UnknownChannel);
        };
        let of: fn(SymbolId) -> Channel = match kind {
            "trades" => Channel::Trades,
            "depth" => Channel::Depth,
            "depth_realtime" => Channel::DepthRealtime,
            "bbo" => Channel::Bbo,
            "ticker" => Channel::Ticker,
            _ => {
                let interval = kind.strip_prefix(KLINE_PREFIX).and_then(Interval::parse);
                let interval = interval.ok_or(ChannelError::UnknownChannel)?;
                let symbol = registry.symbol_named(symbol).ok_or(ChannelError::UnknownSymbol)?;
                return Ok(Channel::Kline(interval, symbol));
            }
        };
        registry.symbol_named(symbol).map(of).ok_or(ChannelError::UnknownSymbol)
    }

    /// Whether it shows what only its user may see.
    pub fn is_private(self) -> bool {
        self.symbol().is_none()
    }

    /// The symbol of a public channel.
    pub fn symbol(self) -> Option<SymbolId> {
        match self {
            Channel::OrderUpdates | Channel::BalanceUpdates | Channel::OwnTrades => None,
            Channel::Trades(symbol)
            | Channel::Depth(symbol)
            | Channel::DepthRealtime(symbol)
            | Channel::Bbo(symbol)
            | Channel::Kline(_, symbol)
            | Channel::Ticker(symbol) => Some(symbol),
        }
    }

    /// Appends its name in quotes.
    pub(super) fn write_name(self, registry: &Registry, out: &mut Vec<u8>) {
        out.push(b'"');
        out.extend_from_slice(self.kind().as_bytes());
        if let Channel::Kline(interval, _) = self {
            out.extend_from_slice(interval.as_str().as_bytes());
        }
        if let Some(symbol) = self.symbol() {
            out.push(b':');
            write::escaped(out, &symbol_entry(registry, symbol).spec.name);
        }
        out.push(b'"');
    }

    /// What its name begins with.
    fn kind(self) -> &'static str {
        match self {
            Channel::OrderUpdates => "order_updates",
            Channel::BalanceUpdates => "balance_updates",
            Channel::OwnTrades | Channel::Trades(_) => "trades",
            Channel::Depth(_) => "depth",
            Channel::DepthRealtime(_) => "depth_realtime",
            Channel::Bbo(_) => "bbo",
            Channel::Kline(..) => KLINE_PREFIX,
            Channel::Ticker(_) => "ticker",
        }
    }
}
