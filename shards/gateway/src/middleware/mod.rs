//! The one way of every request, whatever its dialect.
//!
//! | step | where |
//! | --- | --- |
//! | metrics | the caller of [`enter`], by [`Entry`] and the answer's status |
//! | connection limits | the caller, when it accepts the connection |
//! | CORS | [`enter`], `cors` |
//! | is the server serving, is there such a route, has it this method | [`enter`] |
//! | authentication | [`enter`], [`crate::auth::identify`] |
//! | may the caller do this | [`enter`], by the table in `rules` |
//! | rate limit | who is not known: [`enter`], by address; a user: the user's home shard, by the [`Admission`] |
//! | audit | the caller, by [`Entry::audited`], with the answer's status |
//! | handler | the dialect: what is asked, as an [`Action`] |
//!
//! Promises: no handler runs for a caller that may not; what a handler wants done is done only when the
//! [`Admission`] has been admitted.

mod admission;
mod cors;
mod dialect;
mod limits;
mod rules;

pub use admission::{Admission, Cost};
pub use dialect::{Dialect, refuse};
pub use limits::{Budget, Limits};
pub use rules::{AuditKind, Audited};

use std::net::IpAddr;

use dialect::Found;
use identity::Access;
use rules::{Asks, Rules};

use crate::auth::{Caller, Judge, identify};
use crate::http::response::Framing;
use crate::http::{Method, Request};
use crate::native::failure::{Code, Failure, closing};
use crate::native::fields::query_fields;
use crate::native::format::{DRAINING, RECOVERING};
use crate::native::{Action, Answer, Context, Serving};

/// What a request has come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Entered {
    /// What is to be done, once [`Entry::admission`] is admitted.
    pub action: Action,
    /// Who asks, and what is to be known of it.
    pub entry: Entry,
}

/// Who has asked for what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// In which words.
    pub dialect: Dialect,
    /// Who.
    pub caller: Caller,
    /// What the home of the caller must admit first: also before it is told that its request is bad, which
    /// costs as much as a good one.
    pub admission: Option<Admission>,
    /// What the audit trail is told.
    pub audited: Option<Audited>,
    /// Why nothing is done, if the caller was not let in.
    pub refused: Option<Code>,
    /// How its answer is framed.
    pub framing: Framing,
}

/// Reads a request that comes from an address.
pub fn enter(request: &Request<'_>, context: &Context<'_>, address: IpAddr) -> Entered {
    let framing = match context.serving {
        Serving::Draining => closing(Framing::of(request)),
        _ => Framing::of(request),
    };
    let (dialect, found) = dialect::find(request.path);
    let mut entry = Entry {
        dialect,
        caller: Caller::NOBODY,
        admission: None,
        audited: None,
        refused: None,
        framing,
    };
    let action = match steps(request, context, address, found, &mut entry) {
        Ok(action) => action,
        Err(failure) => {
            entry.refused = Some(failure.code);
            let mut bytes = Vec::new();
            dialect::write_failure(dialect, &failure, framing, &mut bytes);
            Action::Answer(Answer { bytes, shows_state: false })
        }
    };
    Entered { action, entry }
}

fn steps(
    request: &Request<'_>,
    context: &Context<'_>,
    address: IpAddr,
    found: Option<Found<'_>>,
    entry: &mut Entry,
) -> Result<Action, Failure> {
    let framing = entry.framing;
    if let Some(action) = cors::preflight(entry.dialect, found, request, framing) {
        return Ok(action);
    }
    if let Some(action) = found.and_then(|found| found.health(request, context, address, framing)) {
        return Ok(action);
    }
    match context.serving {
        Serving::Ready => {}
        Serving::Recovering => return Err(Failure::new(Code::Unavailable, RECOVERING)),
        Serving::Draining => return Err(Failure::new(Code::Unavailable, DRAINING)),
    }
    if request.method == Method::Options {
        return Ok(cors::options(found, framing));
    }
    let found = found
        .ok_or_else(|| Failure::new(Code::NotFound, format!("{}: no such route", request.path)))?;
    found.check_method(request)?;
    let rules = rules::of(found, request.method);
    entry.audited = rules.audited;
    let judge = Judge {
        auth: context.auth,
        identities: context.identities,
        address,
        now_ms: context.now_ms,
    };
    authenticate(request, &judge, &rules, found, entry).inspect_err(|_| {
        // Whoever guesses must not guess for nothing; the answer stays that of the guess.
        let _ = context.world.admit_address(address, rules.cost.weight());
    })?;
    limit(context, address, &rules, entry)?;
    found.handle(request, context, entry)
}

/// Who asks, and whether it may.
fn authenticate(
    request: &Request<'_>,
    judge: &Judge<'_>,
    rules: &Rules,
    found: Found<'_>,
    entry: &mut Entry,
) -> Result<(), Failure> {
    if rules.asks == Asks::Never {
        return Ok(());
    }
    let access = rules.access;
    let parameter = match found.names_user() {
        true => query_fields(request.query, ["user_id"])?[0].text()?.map(str::to_owned),
        false => None,
    };
    let parameter = parameter.as_deref().map(str::as_bytes);
    let (caller, seal) = identify(request, judge, access, parameter)?;
    entry.caller = caller;
    entry.admission = Admission::of(&caller, rules.cost, seal);
    if caller.may(access) {
        return Ok(());
    }
    if caller == Caller::NOBODY {
        return Err(Failure::new(Code::MissingAuth, missing(judge, access)));
    }
    let detail = format!("{}: not permitted to this key or role", request.path);
    Err(Failure::new(Code::PermissionDenied, detail))
}

/// What would have let somebody in.
fn missing(judge: &Judge<'_>, access: Access) -> &'static str {
    match (judge.auth.is_development, access) {
        (true, Access::Look | Access::Audit | Access::Support | Access::Admin) => {
            "X-Admin-Token: header is required"
        }
        (true, _) => "X-User-ID: header is required",
        (false, _) => "Authorization: header is required, or X-API-KEY",
    }
}

/// Who is not known is limited by its address, here and now.
fn limit(
    context: &Context<'_>,
    address: IpAddr,
    rules: &Rules,
    entry: &Entry,
) -> Result<(), Failure> {
    let weight = rules.cost.weight();
    if entry.caller != Caller::NOBODY || weight == 0 {
        return Ok(());
    }
    let admitted = context.world.admit_address(address, weight);
    admitted.map_err(|retry_ms| Failure::too_fast("too many requests from this address", retry_ms))
}
