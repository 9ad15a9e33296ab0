//! `GET /api/stream`: from a request to a stream of events.

use engine::Registry;
use money::{SymbolId, SymbolStatus};

use super::event_id::EventId;
use super::symbol::symbol_named;
use crate::auth::Caller;
use crate::http::{Method, Request};
use crate::native::Context;
use crate::native::action::{Action, Answer};
use crate::native::failure::Failure;
use crate::native::fields::{Field, query_fields};

/// Most symbols of one stream.
pub const MAX_STREAM_SYMBOLS: usize = 256;

/// What a stream begins with. Its end is the connection's: nobody knows its length, and a client of
/// HTTP/1.0 knows no chunks.
const HEAD: &str = "HTTP/1.1 200 OK\r\n\
    content-type: text/event-stream\r\n\
    cache-control: no-cache\r\n\
    access-control-allow-origin: *\r\n\
    connection: close\r\n\r\n";

/// A stream to be begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamRequest {
    /// The whole head of the answer; events follow it as they are.
    pub head: Vec<u8>,
    /// Who asks; whether its user exists is for the user's home shard to say. Without a user that may read
    /// its account only market data is sent.
    pub caller: Caller,
    /// Whose market data is sent, each once.
    pub symbols: Vec<SymbolId>,
    /// Begin behind this event.
    pub after: Option<EventId>,
}

/// Reads the request.
pub(super) fn stream(
    request: &Request<'_>,
    context: &Context<'_>,
    caller: &Caller,
) -> Result<Action, Failure> {
    let [symbols, last_id] = query_fields(request.query, ["symbols", "last_id"])?;
    let symbols = symbols_of(context.registry, &symbols)?;
    let after = after(request, &last_id)?;
    let head = HEAD.as_bytes().to_vec();
    if request.method == Method::Head {
        return Ok(Action::Answer(Answer { bytes: head, shows_state: false }));
    }
    Ok(Action::EventStream(StreamRequest { head, caller: *caller, symbols, after }))
}

/// Those of the parameter, by default all that trade.
fn symbols_of(registry: &Registry, field: &Field<'_>) -> Result<Vec<SymbolId>, Failure> {
    let Some(text) = field.text()?.filter(|text| !text.is_empty()) else {
        let trading = registry.symbols().iter().zip(0..).filter_map(|(entry, index)| {
            (entry.rules().status == SymbolStatus::Trading).then_some(SymbolId(index))
        });
        return Ok(trading.take(MAX_STREAM_SYMBOLS).collect());
    };
    let mut symbols = Vec::new();
    for name in text.split(',') {
        let symbol = symbol_named(registry, field.name, name)?;
        if symbols.contains(&symbol) {
            continue;
        }
        if symbols.len() == MAX_STREAM_SYMBOLS {
            return Err(field.failure(format_args!("names more than {MAX_STREAM_SYMBOLS} symbols")));
        }
        symbols.push(symbol);
    }
    Ok(symbols)
}

/// A browser that connects again sends the header by itself, with the address of the first time: so
/// the header is newer than the parameter. Empty, as a client without a last event writes it, is none.
fn after(request: &Request<'_>, parameter: &Field<'_>) -> Result<Option<EventId>, Failure> {
    const HEADER: &str = "Last-Event-ID";
    const RULE: &str = "must be the id of an event, epoch-sequence";
    let header = request.header(HEADER).filter(|value| !value.is_empty());
    if let Some(value) = header {
        let id = std::str::from_utf8(value).ok().and_then(EventId::parse);
        return id.map(Some).ok_or_else(|| Failure::parameter(HEADER, RULE));
    }
    let Some(text) = parameter.text()?.filter(|text| !text.is_empty()) else { return Ok(None) };
    EventId::parse(text).map(Some).ok_or_else(|| parameter.failure(RULE))
}
