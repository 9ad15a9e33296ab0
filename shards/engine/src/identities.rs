//! Roles, keys and sessions: decided by the registrar, repeated by everyone.
//!
//! A change is answered once every shard has applied it durably, so that what was revoked is good
//! nowhere when its owner hears so. The registrar's order is everyone's: its messages come in order.

use identity::Change;

use crate::changing::Applied;
use crate::effect::{Effects, Event};
use crate::engine::{Engine, Step};
use crate::message::{Message, Ticket};
use crate::pending::Question;
use crate::reply::{Origin, Refusal};
use money::ShardId;

impl Engine {
    pub(crate) fn change_identity(
        &mut self,
        asked: &Change,
        origin: Option<Origin>,
        out: &mut Effects,
    ) -> Applied {
        let (change, outcome) = self.identities.decide(asked).map_err(Refusal::Identity)?;
        let ticket = self.ask_everyone(Question::Identity(outcome), origin);
        self.apply_identity(&change, out);
        self.tell_peers(|| Message::Identity { ticket, change: Box::new(change.clone()) });
        self.finish(ticket, out);
        Ok(Step::Changed)
    }

    pub(crate) fn on_identity(
        &mut self,
        source: ShardId,
        ticket: Ticket,
        change: &Change,
        out: &mut Effects,
    ) {
        self.apply_identity(change, out);
        self.deliver(source, Message::Defined { ticket }, out);
    }

    fn apply_identity(&mut self, change: &Change, out: &mut Effects) {
        let mut ended = std::mem::take(&mut self.ended);
        self.identities.apply(change, &mut ended);
        out.events.extend(ended.drain(..).map(Event::CredentialEnded));
        self.ended = ended;
        self.mix(change.code());
    }
}
