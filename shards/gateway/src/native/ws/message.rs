//! Messages of clients: from text to what is to be done.

use engine::{Command, Query};
use identity::Access;

use super::answer::write_error;
use super::channel::{Channel, ChannelError};
use super::request_id::RequestId;
use crate::auth::{Caller, Hidden, Shown};
use crate::json::{Value, read_array};
use crate::native::action::{Action, Respond, Shape};
use crate::native::context::{Context, Serving};
use crate::native::failure::{Code, Failure};
use crate::native::fields::{Field, Word, body_fields};
use crate::native::format::{DRAINING, RECOVERING};
use crate::native::order::{read_order_ref, read_place};

/// What a client wants.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientMessage {
    /// To be somebody: answer [`super::auth_success`], or [`super::auth_error`] and close.
    Auth {
        /// What is shown for it.
        shown: Shown,
        /// Its name for this message.
        id: Option<RequestId>,
    },
    /// A sign of life: answer [`super::pong`].
    Ping {
        /// Its name for this message.
        id: Option<RequestId>,
    },
    /// Channels, which it may have: [`super::Subscriptions::add`], answer [`super::subscribed`].
    Subscribe {
        /// Which, as they were named.
        channels: Vec<Channel>,
        /// Its name for this message.
        id: Option<RequestId>,
    },
    /// No longer channels: [`super::Subscriptions::remove`], answer [`super::unsubscribed`].
    Unsubscribe {
        /// Which, as they were named.
        channels: Vec<Channel>,
        /// Its name for this message.
        id: Option<RequestId>,
    },
    /// Something of its orders: act as for a request; the reply goes to [`super::respond`].
    Order {
        /// [`Action::Command`] or [`Action::Query`].
        action: Action,
        /// What the answer needs besides.
        tag: Tag,
    },
}

/// Which message is being answered: small, so that it is kept with what is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    pub(super) kind: MessageKind,
    /// The client's name for it.
    pub id: Option<RequestId>,
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
        write_error(self.id.as_ref(), &self.failure, out);
    }
}

/// The field `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageKind {
    Auth,
    Ping,
    Subscribe,
    Unsubscribe,
    OrderPlace,
    OrderCancel,
    OrderQuery,
}

impl Word for MessageKind {
    const WORDS: &'static [MessageKind] = &[
        MessageKind::Auth,
        MessageKind::Ping,
        MessageKind::Subscribe,
        MessageKind::Unsubscribe,
        MessageKind::OrderPlace,
        MessageKind::OrderCancel,
        MessageKind::OrderQuery,
    ];

    fn text(self) -> &'static str {
        match self {
            MessageKind::Auth => "auth",
            MessageKind::Ping => "ping",
            MessageKind::Subscribe => "subscribe",
            MessageKind::Unsubscribe => "unsubscribe",
            MessageKind::OrderPlace => "order.place",
            MessageKind::OrderCancel => "order.cancel",
            MessageKind::OrderQuery => "order.query",
        }
    }

    fn read(text: &str) -> Option<MessageKind> {
        MessageKind::WORDS.iter().copied().find(|kind| kind.text() == text)
    }
}

/// Reads a message of a caller, or of somebody who has not said who it is.
///
/// # Errors
/// It cannot be read or not be done; the error is its answer.
pub fn read(text: &str, context: &Context<'_>, caller: &Caller) -> Result<ClientMessage, Unread> {
    const NAMES: [&str; 9] =
        ["type", "id", "data", "channels", "wait", "token", "api_key", "timestamp", "signature"];
    let [kind, id, data, channels, wait, shown @ ..] = body_fields(text.as_bytes(), NAMES)
        .map_err(|failure| Unread { id: None, failure: of_message(failure) })?;
    let id = RequestId::read(&id).map_err(|failure| Unread { id: None, failure })?;
    let read = || {
        let kind = kind.required_word::<MessageKind>()?;
        Ok(match kind {
            MessageKind::Auth if caller.user.is_some() => {
                return Err(Failure::parameter("type", "this connection is authenticated already"));
            }
            MessageKind::Auth => ClientMessage::Auth { shown: read_shown(&shown)?, id },
            MessageKind::Ping => ClientMessage::Ping { id },
            MessageKind::Subscribe => ClientMessage::Subscribe {
                channels: read_channels(&channels, context, caller)?,
                id,
            },
            MessageKind::Unsubscribe => ClientMessage::Unsubscribe {
                channels: read_channels(&channels, context, caller)?,
                id,
            },
            MessageKind::OrderPlace | MessageKind::OrderCancel | MessageKind::OrderQuery => {
                let action = read_order(kind, &data, &wait, context, caller)?;
                ClientMessage::Order { action, tag: Tag { kind, id } }
            }
        })
    };
    read().map_err(|failure| Unread { id, failure })
}

/// A token, or a signature with what it needs.
fn read_shown(fields: &[Field<'_>; 4]) -> Result<Shown, Failure> {
    let [token, key, timestamp, signature] = fields;
    if key.is_absent() {
        return Ok(Shown::Token(Hidden::new(token.required_text()?)));
    }
    if !token.is_absent() {
        return Err(token.failure("cannot be given together with api_key"));
    }
    Ok(Shown::Signed {
        key: key.required_text()?.to_owned(),
        timestamp: timestamp.required_literal()?.to_owned(),
        signature: signature.required_text()?.to_owned(),
        target: "/ws",
    })
}

/// What is wrong with a whole body is wrong with a whole message here.
fn of_message(failure: Failure) -> Failure {
    match failure.detail.strip_prefix("body: ") {
        Some(rule) => Failure { detail: format!("message: {rule}"), ..failure },
        None => failure,
    }
}

fn read_channels(
    field: &Field<'_>,
    context: &Context<'_>,
    caller: &Caller,
) -> Result<Vec<Channel>, Failure> {
    let list = match field.value {
        Value::Array(list) => list,
        Value::Absent | Value::Null => return Err(field.missing()),
        _ => return Err(field.failure("must be an array")),
    };
    let mut channels = Vec::new();
    read_array(list, |index, value| {
        let failure = |code, rule: &dyn std::fmt::Display| {
            Failure::new(code, format!("channels[{index}]: {rule}"))
        };
        let Value::Text(name) = value else {
            return Err(failure(Code::InvalidParameter, &"must be text"));
        };
        let channel = Channel::read(&name, context.registry).map_err(|error| match error {
            ChannelError::UnknownChannel => failure(Code::InvalidParameter, &error),
            ChannelError::UnknownSymbol => failure(Code::UnknownSymbol, &error),
        })?;
        if channel.is_private() && caller.user.is_none() {
            return Err(failure(Code::MissingAuth, &"is for authenticated connections only"));
        }
        if channel.is_private() && !caller.may(Access::Read) {
            return Err(failure(Code::PermissionDenied, &"needs the permission read"));
        }
        channels.push(channel);
        Ok(())
    })?;
    if channels.is_empty() {
        return Err(field.failure("must name a channel"));
    }
    Ok(channels)
}

fn read_order(
    kind: MessageKind,
    data: &Field<'_>,
    wait: &Field<'_>,
    context: &Context<'_>,
    caller: &Caller,
) -> Result<Action, Failure> {
    let rule = "is for authenticated connections only";
    let missing = || Failure::new(Code::MissingAuth, format!("type: {rule}"));
    let user = caller.user.ok_or_else(missing)?;
    let access = if kind == MessageKind::OrderQuery { Access::Read } else { Access::Trade };
    if !caller.may(access) {
        let detail = format!("type: {} is not permitted to this key or role", kind.text());
        return Err(Failure::new(Code::PermissionDenied, detail));
    }
    match context.serving {
        Serving::Ready => {}
        Serving::Recovering => return Err(Failure::new(Code::Unavailable, RECOVERING)),
        Serving::Draining => return Err(Failure::new(Code::Unavailable, DRAINING)),
    }
    let data = match data.value {
        Value::Object(text) => text.as_bytes(),
        Value::Absent | Value::Null => return Err(data.missing()),
        _ => return Err(data.failure("must be an object")),
    };
    if kind == MessageKind::OrderQuery {
        let query = Query::Order { user, order: read_order_ref(data)? };
        return Ok(Action::Query { query, respond: Respond::of_message(Shape::Own) });
    }
    let (command, shape) = if kind == MessageKind::OrderPlace {
        let mut place = read_place(data, context, user)?;
        place.wait = wait.flag()?.unwrap_or(false);
        (Command::Place(place), Shape::Place(place.symbol))
    } else {
        (Command::Cancel { user, order: read_order_ref(data)? }, Shape::Own)
    };
    let respond = Respond::of_message(shape);
    Ok(Action::Command { command, respond, repeat_while_more: false })
}
