//! Messages of clients: from text to what is to be done.

use money::{SymbolId, UserId};

use super::answer::write_pong;
use super::call::act;
use super::endpoint::{Endpoint, Method};
use super::failure::{Code, Failure};
use super::login::{read_key, read_token};
use crate::auth::{Caller, Shown};
use crate::json::{Value, read_array};
use crate::native::failure::Failure as NativeFailure;
use crate::native::fields::{Field, Word, body_fields};
use crate::native::ws::RequestId;
use crate::native::{Action, Context};

/// Most symbols that one message may name.
pub const MAX_SYMBOLS: usize = 1_024;
/// Levels per side of market data where the client does not say.
pub const DEFAULT_DEPTH_LEVELS: usize = 10;
/// Most levels per side of market data.
pub const MAX_DEPTH_LEVELS: usize = 100;

/// What a client wants.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientMessage {
    /// To be a user: answer [`super::login_success`] or [`super::login_failed`]. Where a connection is
    /// logged in already, this is its user once more.
    Login {
        /// What is shown for it.
        shown: Shown,
        /// What the answer needs besides.
        tag: Tag,
    },
    /// Something of its orders or account: act as for a request; the reply goes to
    /// [`super::respond`].
    Act {
        /// [`Action::Command`] or [`Action::Query`].
        action: Action,
        /// What the answer needs besides.
        tag: Tag,
    },
    /// Market data: answer [`super::subscribed`]. Symbols that are subscribed already get the new
    /// depth.
    MarketSubscribe {
        /// Of which, each once; `None`: of all, those that are yet to come among them.
        symbols: Option<Vec<SymbolId>>,
        /// Levels per side, 1 to [`MAX_DEPTH_LEVELS`].
        depth: usize,
        /// What the answer needs besides.
        tag: Tag,
    },
    /// No longer market data: answer [`super::unsubscribed`].
    MarketUnsubscribe {
        /// Of which, each once; `None`: of all.
        symbols: Option<Vec<SymbolId>>,
        /// What the answer needs besides.
        tag: Tag,
    },
    /// What needs nobody to be answered.
    Answered(Answered),
}

/// An answer that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    id: Option<RequestId>,
}

impl Answered {
    /// Appends it.
    pub fn write(&self, out: &mut Vec<u8>) {
        write_pong(self.id.as_ref(), out);
    }
}

/// Which message is being answered: small, so that it is kept with what is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    pub(super) method: Method,
    pub(super) about: About,
    /// The client's name for it.
    pub id: Option<RequestId>,
}

/// What a message is about, where its reply does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// Itself.
    Message,
    /// An order named by this field.
    Order(&'static str),
    /// A user.
    User(UserId),
}

/// A message that asks for nothing that can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    id: Option<RequestId>,
    failure: Failure,
}

impl Unread {
    /// Appends the answer, an error.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.failure.write(self.id.as_ref(), out);
    }
}

/// Reads a message of a caller, or of somebody who has not said who it is.
///
/// # Errors
/// It cannot be read or not be done; the error is its answer.
pub fn read(
    text: &str,
    endpoint: Endpoint,
    context: &Context<'_>,
    caller: &Caller,
) -> Result<ClientMessage, Unread> {
    let [method, params, id] = body_fields(text.as_bytes(), ["method", "params", "id"])
        .map_err(|failure| Unread { id: id_alone(text), failure: of_message(failure) })?;
    let id =
        RequestId::read(&id).map_err(|failure| Unread { id: None, failure: failure.into() })?;
    let call = Call { method, params, id, endpoint, caller };
    call.read(context).map_err(|failure| Unread { id, failure })
}

fn of_message(failure: NativeFailure) -> Failure {
    Failure::of_native(failure, "message")
}

/// The `id` of a message in which another field is given twice.
fn id_alone(text: &str) -> Option<RequestId> {
    let [id] = body_fields(text.as_bytes(), ["id"]).ok()?;
    RequestId::read(&id).ok()?
}

/// A message taken apart, and who sent it where.
struct Call<'a> {
    method: Field<'a>,
    params: Field<'a>,
    id: Option<RequestId>,
    endpoint: Endpoint,
    caller: &'a Caller,
}

impl Call<'_> {
    fn read(&self, context: &Context<'_>) -> Result<ClientMessage, Failure> {
        let method = self.method.required_word::<Method>()?;
        check_endpoint(method, self.endpoint)?;
        let params = match self.params.value {
            Value::Object(text) => text.as_bytes(),
            Value::Absent | Value::Null => b"{}".as_slice(),
            _ => return Err(self.params.failure("must be an object").into()),
        };
        let tag = Tag { method, about: About::Message, id: self.id };
        match method {
            Method::Ping => Ok(ClientMessage::Answered(Answered { id: self.id })),
            Method::Login => self.login(read_key(params, self.endpoint, context)?, tag),
            Method::Jwt => self.login(read_token(params)?, tag),
            Method::Subscribe => {
                let [symbols, depth] = body_fields(params, ["symbols", "depth"])?;
                let symbols = read_symbols(&symbols, context)?;
                let depth = depth.integer(1, MAX_DEPTH_LEVELS as u64)?;
                let depth = depth.map_or(DEFAULT_DEPTH_LEVELS, |depth| depth as usize);
                Ok(ClientMessage::MarketSubscribe { symbols, depth, tag })
            }
            Method::Unsubscribe => {
                let [symbols] = body_fields(params, ["symbols"])?;
                let symbols = read_symbols(&symbols, context)?;
                Ok(ClientMessage::MarketUnsubscribe { symbols, tag })
            }
            Method::Place
            | Method::Cancel
            | Method::Status
            | Method::List
            | Method::Info
            | Method::Positions
            | Method::Trades => {
                let user = self.caller.user.ok_or_else(|| {
                    let issue = format!("{} needs auth.login or auth.jwt before it", method.text());
                    Failure::new(Code::NotAuthenticated, "method", issue)
                })?;
                if !self.caller.may(method.access()) {
                    let issue = format!("{} is not permitted to this key or role", method.text());
                    return Err(Failure::new(Code::Forbidden, "method", issue));
                }
                let (action, about) = act(method, params, context, user)?;
                Ok(ClientMessage::Act { action, tag: Tag { about, ..tag } })
            }
        }
    }

    /// A connection keeps its user: what is under way was asked as that one. Of what a key or a token
    /// names, the caller finds out.
    fn login(&self, shown: Shown, tag: Tag) -> Result<ClientMessage, Failure> {
        if let (Some(user), Shown::User(other)) = (self.caller.user, &shown)
            && user != *other
        {
            let issue = format!("this connection is logged in already, as user {user}");
            return Err(Failure::parameter("method", issue));
        }
        Ok(ClientMessage::Login { shown, tag })
    }
}

fn check_endpoint(method: Method, endpoint: Endpoint) -> Result<(), Failure> {
    let right = method.endpoints();
    if right.contains(&endpoint) {
        return Ok(());
    }
    let paths: Vec<&str> = right.iter().map(|endpoint| endpoint.path()).collect();
    let issue = format!("{} belongs to {}", method.text(), paths.join(" or "));
    Err(Failure::parameter("method", issue))
}

/// The symbols that a list names, each once, in order of their ids.
fn read_symbols(
    field: &Field<'_>,
    context: &Context<'_>,
) -> Result<Option<Vec<SymbolId>>, Failure> {
    let list = match field.value {
        Value::Array(list) => list,
        Value::Absent | Value::Null => return Ok(None),
        _ => return Err(field.failure("must be an array").into()),
    };
    let mut symbols = Vec::new();
    read_array(list, |index, value| {
        let name = || format!("symbols[{index}]");
        if index >= MAX_SYMBOLS {
            let issue = format!("must name at most {MAX_SYMBOLS} symbols; leave it out for all");
            return Err(Failure::parameter("symbols", issue));
        }
        let Value::Text(text) = value else {
            return Err(Failure::parameter(name(), "must be text"));
        };
        let symbol = context.registry.symbol_named(&text);
        symbols.push(symbol.ok_or_else(|| Failure::new(Code::UnknownSymbol, name(), "unknown"))?);
        Ok(())
    })?;
    if symbols.is_empty() {
        return Err(field.failure("must name a symbol; leave it out for all").into());
    }
    symbols.sort_unstable();
    symbols.dedup();
    Ok(Some(symbols))
}
