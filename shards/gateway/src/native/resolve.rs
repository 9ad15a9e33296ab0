//! The second half of a reduction or move: the order's symbol is known now.

use engine::{Command, OrderRef, Reply};

use super::action::{Action, Answer, Change, Pending, Respond, Shape};
use super::amounts::{read_price, read_qty};
use super::context::Context;
use super::failure::{Code, Failure};
use super::refusal::failure_of;

/// What to do now that the question of an [`Action::Resolve`] is answered: a command, or the answer
/// that says why not. The order is named by its id from here on: a `cid` may by then mean another.
pub fn resolve(pending: &Pending, reply: &Reply, context: &Context<'_>) -> Action {
    let order = match reply {
        Reply::Order(order) => order,
        Reply::Refused(refusal) => {
            return failed(failure_of(refusal, pending.respond.shape, context), pending);
        }
        _ => return failed(Failure::new(Code::Internal, "a reply does not fit"), pending),
    };
    let framing = pending.respond.framing;
    let user = pending.user;
    let id = OrderRef::Id(order.order);
    let Some(entry) = context.registry.symbol(order.symbol) else {
        return failed(Failure::new(Code::Internal, "the order's symbol is not defined"), pending);
    };
    let command = match pending.change {
        Change::Reduce(by) => read_qty(&entry.spec, "reduce_qty", by)
            .map(|by| (Command::Reduce { user, order: id, by }, Shape::Reduce)),
        Change::Move(price) => read_price(&entry.spec, "new_price", price)
            .map(|price| (Command::Move { user, order: id, price }, Shape::Move(order.symbol))),
    };
    match command {
        Ok((command, shape)) => Action::Command {
            command,
            respond: Respond { shape, framing },
            repeat_while_more: false,
        },
        Err(failure) => failed(failure, pending),
    }
}

fn failed(failure: Failure, pending: &Pending) -> Action {
    Action::Answer(Answer {
        bytes: failure.into_bytes(pending.respond.framing),
        shows_state: false,
    })
}
