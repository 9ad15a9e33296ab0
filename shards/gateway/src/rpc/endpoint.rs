//! The three endpoints, the methods, and which method belongs where.

use identity::Access;

use crate::native::fields::Word;

/// Where a connection was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `/orders`: a user's orders and account.
    Orders,
    /// `/market-data`: what everybody may see.
    MarketData,
    /// `/user-data`: a user's account, and events of its orders.
    UserData,
}

/// The endpoint at a path.
pub fn endpoint(path: &str) -> Option<Endpoint> {
    Endpoint::ALL.into_iter().find(|endpoint| endpoint.path() == path)
}

impl Endpoint {
    const ALL: [Endpoint; 3] = [Endpoint::Orders, Endpoint::MarketData, Endpoint::UserData];

    /// Its path.
    pub fn path(self) -> &'static str {
        match self {
            Endpoint::Orders => "/orders",
            Endpoint::MarketData => "/market-data",
            Endpoint::UserData => "/user-data",
        }
    }
}

/// The field `method`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Login,
    Jwt,
    Place,
    Cancel,
    Status,
    List,
    Subscribe,
    Unsubscribe,
    Info,
    Positions,
    Trades,
    Ping,
}

impl Word for Method {
    const WORDS: &'static [Method] = &[
        Method::Login,
        Method::Jwt,
        Method::Place,
        Method::Cancel,
        Method::Status,
        Method::List,
        Method::Subscribe,
        Method::Unsubscribe,
        Method::Info,
        Method::Positions,
        Method::Trades,
        Method::Ping,
    ];

    fn text(self) -> &'static str {
        match self {
            Method::Login => "auth.login",
            Method::Jwt => "auth.jwt",
            Method::Place => "order.place",
            Method::Cancel => "order.cancel",
            Method::Status => "order.status",
            Method::List => "order.list",
            Method::Subscribe => "market_data.subscribe",
            Method::Unsubscribe => "market_data.unsubscribe",
            Method::Info => "account.info",
            Method::Positions => "account.positions",
            Method::Trades => "account.trades",
            Method::Ping => "ping",
        }
    }

    fn read(text: &str) -> Option<Method> {
        Method::WORDS.iter().copied().find(|method| method.text() == text)
    }
}

impl Method {
    /// What a caller must be allowed.
    pub fn access(self) -> Access {
        match self {
            Method::Place | Method::Cancel => Access::Trade,
            Method::Status | Method::List | Method::Info | Method::Positions | Method::Trades => {
                Access::Read
            }
            Method::Login
            | Method::Jwt
            | Method::Subscribe
            | Method::Unsubscribe
            | Method::Ping => Access::Public,
        }
    }

    /// Where it belongs.
    pub fn endpoints(self) -> &'static [Endpoint] {
        match self {
            Method::Login | Method::Jwt | Method::Ping => &Endpoint::ALL,
            Method::Place | Method::Cancel | Method::Status | Method::List => &[Endpoint::Orders],
            Method::Subscribe | Method::Unsubscribe => &[Endpoint::MarketData],
            Method::Info | Method::Positions | Method::Trades => {
                &[Endpoint::Orders, Endpoint::UserData]
            }
        }
    }
}
