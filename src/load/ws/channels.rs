//! The channels of a run: which connection follows which, and which one a message belongs to.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};

use crate::load::market::Market;

/// The word for no channels at all.
pub const NONE: &str = "none";
/// Most channels of a connection; the server's bound is a little above.
const MAX_CHANNELS_EACH: usize = 1_000;
const INTERVALS: [&str; 7] = ["1m", "5m", "15m", "30m", "1h", "4h", "1d"];
/// In a [`Tag`] the market is below these bits.
const FAMILY_SHIFT: u32 = 24;

/// What messages of a channel look like. Those of `depth` and `depth_realtime` cannot be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Trades,
    Depth,
    Bbo,
    Ticker,
    /// With the place of its interval among [`INTERVALS`].
    Kline(u8),
}

/// Family and market: what a message tells of the channel that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag(u32);

/// A channel by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    pub name: String,
    pub tag: Tag,
}

/// All channels of a run.
#[derive(Debug)]
pub struct Channels {
    all: Vec<Channel>,
    each: usize,
    markets: HashMap<Vec<u8>, usize>,
}

impl Family {
    fn number(self) -> u32 {
        match self {
            Family::Trades => 0,
            Family::Depth => 1,
            Family::Bbo => 2,
            Family::Ticker => 3,
            Family::Kline(interval) => 4 + u32::from(interval),
        }
    }

    /// Of a channel's name, without its symbol.
    fn parse(kind: &str) -> Option<Family> {
        Some(match kind {
            "trades" => Family::Trades,
            "depth" | "depth_realtime" => Family::Depth,
            "bbo" => Family::Bbo,
            "ticker" => Family::Ticker,
            _ => Family::of_interval(kind.strip_prefix("kline_")?.as_bytes())?,
        })
    }

    /// Candles of this length.
    pub fn of_interval(interval: &[u8]) -> Option<Family> {
        let at = INTERVALS.iter().position(|known| known.as_bytes() == interval)?;
        Some(Family::Kline(at as u8))
    }
}

impl Tag {
    fn new(family: Family, market: usize) -> Tag {
        Tag(family.number() << FAMILY_SHIFT | market as u32)
    }

    /// Which of the run's markets.
    pub fn market(self) -> usize {
        (self.0 & ((1 << FAMILY_SHIFT) - 1)) as usize
    }
}

/// Refuses words that are no channels, before anything is sent.
pub fn check(words: &[String]) -> Result<()> {
    if words == [NONE] {
        return Ok(());
    }
    for (at, word) in words.iter().enumerate() {
        let kind = word.split_once(':').map_or(word.as_str(), |(kind, _)| kind);
        ensure!(
            Family::parse(kind).is_some(),
            "channels: {word:?} is none of trades, depth, depth_realtime, bbo, ticker, kline_1m … \
             kline_1d, with or without :SYMBOL, nor {NONE} alone"
        );
        ensure!(!words[..at].contains(word), "channels: {word} is there twice");
    }
    Ok(())
}

impl Channels {
    /// Those that the words name, `each` of them for every connection.
    pub fn new(words: &[String], each: Option<usize>, markets: &[Market]) -> Result<Channels> {
        let named: HashMap<Vec<u8>, usize> = markets
            .iter()
            .enumerate()
            .map(|(at, market)| (market.symbol.clone().into_bytes(), at))
            .collect();
        let mut all: Vec<Channel> = Vec::new();
        for word in words.iter().filter(|word| *word != NONE) {
            let (kind, symbol) = match word.split_once(':') {
                Some((kind, symbol)) => (kind, Some(symbol)),
                None => (word.as_str(), None),
            };
            let family = Family::parse(kind).with_context(|| format!("channels: {word:?}"))?;
            let before = all.len();
            for (market, Market { symbol: name, .. }) in markets.iter().enumerate() {
                if symbol.is_none_or(|symbol| symbol == name) {
                    let channel =
                        Channel { name: format!("{kind}:{name}"), tag: Tag::new(family, market) };
                    ensure!(!all.contains(&channel), "channels: {} is there twice", channel.name);
                    all.push(channel);
                }
            }
            ensure!(all.len() > before, "channels: {word}: no such symbol in this run");
        }
        let each = each.unwrap_or(all.len()).min(all.len());
        ensure!(
            each <= MAX_CHANNELS_EACH,
            "channels-each: {each} are more than {MAX_CHANNELS_EACH} for one connection"
        );
        let channels = Channels { all, each, markets: named };
        channels.check_each()?;
        Ok(channels)
    }

    fn check_each(&self) -> Result<()> {
        for receiver in 0..self.all.len() {
            let mut followed = self.of_receiver(receiver);
            followed.sort_unstable_by_key(|&channel| self.all[usize::from(channel)].tag);
            let name = |channel: u16| &self.all[usize::from(channel)].name;
            let tag = |channel: u16| self.all[usize::from(channel)].tag;
            if let Some(pair) = followed.windows(2).find(|pair| tag(pair[0]) == tag(pair[1])) {
                bail!(
                    "channels: {} and {} cannot be told apart on one connection (see --channels-each)",
                    name(pair[0]),
                    name(pair[1])
                );
            }
        }
        Ok(())
    }

    /// All of them; a channel's number is its place.
    pub fn all(&self) -> &[Channel] {
        &self.all
    }

    /// What the `receiver`th connection follows.
    pub fn of_receiver(&self, receiver: usize) -> Vec<u16> {
        let count = self.all.len();
        (0..self.each).map(|more| ((receiver * self.each + more) % count) as u16).collect()
    }

    /// Which market a symbol names.
    pub fn market(&self, symbol: &[u8]) -> Option<usize> {
        self.markets.get(symbol).copied()
    }

    /// What a message of this family and symbol belongs to.
    pub fn tag(&self, family: Family, symbol: &[u8]) -> Option<Tag> {
        self.market(symbol).map(|market| Tag::new(family, market))
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Channels of two symbols.
    pub fn channels(words: &str, each: Option<usize>) -> Result<Channels> {
        let words: Vec<String> = words.split(',').map(str::to_owned).collect();
        check(&words)?;
        let market = |symbol: &str| Market {
            symbol: symbol.to_owned(),
            assets: ["A".into(), "B".into()],
            prices: vec!["1".into()],
            qty: "1".into(),
        };
        Channels::new(&words, each, &[market("BTC_USDT"), market("ETH_USDT")])
    }

    fn names(channels: &Channels, receiver: usize) -> Vec<&str> {
        let name = |channel: u16| channels.all[usize::from(channel)].name.as_str();
        channels.of_receiver(receiver).into_iter().map(name).collect()
    }

    #[test]
    fn a_word_without_a_symbol_is_a_channel_of_each() {
        let channels = channels("trades,depth:ETH_USDT", None).unwrap();
        let all = ["trades:BTC_USDT", "trades:ETH_USDT", "depth:ETH_USDT"];
        assert_eq!(names(&channels, 0), all);
        let mut second = names(&channels, 1);
        second.sort_unstable();
        assert_eq!(second.len(), 3);
        let tag = channels.tag(Family::Depth, b"ETH_USDT").unwrap();
        assert_eq!((tag, tag.market()), (channels.all[2].tag, 1));
        assert_eq!(channels.tag(Family::Depth, b"X_Y"), None);
    }

    #[test]
    fn connections_take_turns() {
        let channels = channels("depth,depth_realtime", Some(1)).unwrap();
        let first: Vec<&str> = (0..5).map(|receiver| names(&channels, receiver)[0]).collect();
        assert_eq!(first[0], "depth:BTC_USDT");
        assert_eq!(first[3], "depth_realtime:ETH_USDT");
        assert_eq!(first[4], first[0]);
    }

    #[test]
    fn none_is_nothing() {
        assert!(channels("none", None).unwrap().of_receiver(3).is_empty());
    }

    #[test]
    fn what_cannot_be_followed_is_refused_by_its_name() {
        for (words, part) in [
            ("depths", "depths"),
            ("kline_2m", "kline_2m"),
            ("trades,none", "none"),
            ("trades,trades", "twice"),
            ("trades,trades:BTC_USDT", "trades:BTC_USDT is there twice"),
            ("trades:X_Y", "X_Y"),
            ("depth,depth_realtime", "depth:BTC_USDT and depth_realtime:BTC_USDT"),
        ] {
            let error = format!("{:#}", channels(words, None).unwrap_err());
            assert!(error.starts_with("channels: ") && error.contains(part), "{words}: {error}");
        }
    }
}
