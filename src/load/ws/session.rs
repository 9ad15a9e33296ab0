//! One connection of the load and what it is for: who follows channels, and who trades.

use super::account::{Account, Unreadable};
use super::channels::Channels;
use super::message::{self, Numbers, Private};
use super::scanner::Incoming;
use super::sequence::Stream;
use super::shared::Shared;
use super::tally::{Other, Tally, trade_key};
use super::trading::{Desk, UnderWay};
use super::wire::Wire;

/// A connection.
pub struct Session {
    pub wire: Wire,
    pub role: Role,
    /// Greeted, and subscribed to everything.
    pub is_ready: bool,
    /// How often it was tried to open it.
    pub attempts: u32,
}

/// What it is for.
pub enum Role {
    /// Follows these, in the order of their tags.
    Receiver(Box<[Stream]>),
    Trader(Box<Trader>),
}

/// A user's connection.
#[derive(Debug, Default)]
pub struct Trader {
    pub account: Account,
    pub under_way: Vec<UnderWay>,
    pub next_id: u64,
}

/// What a message means for the opening of its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    None,
    Greeted,
    Subscribed,
    /// The server does not want it, for this reason.
    Refused(String),
}

impl Session {
    /// A trader's.
    pub fn trader(user: u64) -> Session {
        Session::new(Wire::new(Some(user)), Role::Trader(Box::default()))
    }

    /// One that follows the channels of the `receiver`th.
    pub fn receiver(channels: &Channels, receiver: usize) -> Session {
        let stream = |channel: u16| Stream::new(channels.all()[usize::from(channel)].tag, channel);
        let mut streams: Vec<Stream> =
            channels.of_receiver(receiver).into_iter().map(stream).collect();
        streams.sort_unstable_by_key(|stream| stream.tag);
        Session::new(Wire::new(None), Role::Receiver(streams.into()))
    }

    fn new(wire: Wire, role: Role) -> Session {
        Session { wire, role, is_ready: false, attempts: 0 }
    }

    /// Whether it may still subscribe to something.
    pub fn subscription(&self, channels: &Channels) -> Option<String> {
        let Role::Receiver(streams) = &self.role else { return None };
        if streams.is_empty() {
            return None;
        }
        let name = |stream: &Stream| channels.all()[usize::from(stream.channel)].name.as_str();
        let names: Vec<&str> = streams.iter().map(name).collect();
        let names = serde_json::to_string(&names).unwrap_or_default();
        Some(format!(r#"{{"type":"subscribe","channels":{names}}}"#))
    }
}

/// What a thread needs for messages.
pub struct Ears<'a> {
    pub shared: &'a Shared,
    pub tally: &'a mut Tally,
    pub desk: Option<&'a mut Desk>,
}

impl Ears<'_> {
    /// Takes what has come on a connection.
    pub fn hear(
        &mut self,
        role: &mut Role,
        incoming: Incoming<'_>,
        (bytes, now_ns): (usize, u64),
    ) -> Step {
        let Incoming::Text(text) = incoming else {
            self.tally.other(Other::Rest, bytes, now_ns);
            return Step::None;
        };
        match role {
            Role::Receiver(streams) => self.hear_public(streams, text, (bytes, now_ns)),
            Role::Trader(trader) => self.hear_private(trader, text, (bytes, now_ns)),
        }
    }

    fn hear_public(
        &mut self,
        streams: &mut [Stream],
        text: &[u8],
        (bytes, now_ns): (usize, u64),
    ) -> Step {
        let Some(public) = message::public(text, &self.shared.channels) else {
            let private: Option<Private<'_>> = serde_json::from_slice(text).ok();
            self.tally.other(Other::Answer, bytes, now_ns);
            return self.step(private.as_ref());
        };
        match streams.binary_search_by_key(&public.tag, |stream| stream.tag) {
            Ok(at) => self.tally.public(&mut streams[at], public.numbers, bytes, now_ns),
            Err(_) => {
                // Nobody asked for it.
                self.tally.unreadable += 1;
                self.tally.other(Other::Rest, bytes, now_ns);
            }
        }
        if let Numbers::Trade(id) = public.numbers
            && self.shared.is_traded
        {
            self.tally.public_trade(public.tag.market(), id, now_ns, &self.shared.takers);
        }
        Step::None
    }

    fn hear_private(
        &mut self,
        trader: &mut Trader,
        text: &[u8],
        (bytes, now_ns): (usize, u64),
    ) -> Step {
        let Ok(private) = serde_json::from_slice::<Private<'_>>(text) else {
            self.tally.unreadable += 1;
            self.tally.other(Other::Rest, bytes, now_ns);
            return Step::None;
        };
        let (other, heard) = match &*private.kind {
            "order.update" => (Other::OrderUpdate, self.order(trader, &private, now_ns)),
            "trade" => (Other::OwnTrade, self.trade(trader, &private)),
            "balance.update" => (Other::BalanceUpdate, self.balance(trader, &private)),
            _ => {
                self.tally.other(Other::Answer, bytes, now_ns);
                let (Some(id), Some(desk)) = (private.id, self.desk.as_deref_mut()) else {
                    return self.step(Some(&private));
                };
                let error = private.code.zip(private.msg.as_deref());
                desk.answered(trader, id, error, now_ns);
                return Step::None;
            }
        };
        self.tally.other(other, bytes, now_ns);
        self.tally.unreadable += u64::from(heard.is_err());
        Step::None
    }

    fn order(
        &mut self,
        trader: &mut Trader,
        private: &Private<'_>,
        now_ns: u64,
    ) -> Result<(), Unreadable> {
        let data = private.read()?;
        let Shared { run, orders, .. } = self.shared;
        let news = trader.account.order(&data, run, orders, &mut self.tally.private)?;
        if let Some(intended_ns) = news.first_intended_ns {
            self.tally.pushed(intended_ns, now_ns);
            for (market, trade) in news.taken {
                self.shared.takers.note(trade_key(market, trade), intended_ns);
            }
        }
        Ok(())
    }

    fn trade(&mut self, trader: &mut Trader, private: &Private<'_>) -> Result<(), Unreadable> {
        let data: message::TradeData<'_> = private.read()?;
        let market = self.shared.channels.market(data.symbol.as_bytes());
        let intended_ns = trader.account.trade(&data, market, &mut self.tally.private)?;
        if let (Some(intended_ns), Some(market)) = (intended_ns, market) {
            self.shared.takers.note(trade_key(market, data.trade_id), intended_ns);
        }
        Ok(())
    }

    fn balance(&mut self, trader: &mut Trader, private: &Private<'_>) -> Result<(), Unreadable> {
        trader.account.balance(&private.read()?, &mut self.tally.private)
    }

    /// What is none of the events.
    fn step(&mut self, private: Option<&Private<'_>>) -> Step {
        let Some(private) = private else {
            self.tally.unreadable += 1;
            return Step::None;
        };
        match &*private.kind {
            "connected" => Step::Greeted,
            "subscribe.success" => Step::Subscribed,
            "error" | "auth.error" => {
                Step::Refused(private.msg.as_deref().unwrap_or("no reason").to_owned())
            }
            _ => {
                self.tally.unreadable += 1;
                Step::None
            }
        }
    }
}

impl<'a> Private<'a> {
    fn read<T: serde::Deserialize<'a>>(&self) -> Result<T, Unreadable> {
        let data = self.data.ok_or(Unreadable)?;
        serde_json::from_str(data.get()).map_err(|_| Unreadable)
    }
}
