//! When a subscription is confirmed.
//!
//! Promises: who has been told that it follows the trades of a symbol misses none that is made after. Other
//! channels begin with where things stand, so they need no such promise.

use std::cell::Cell;
use std::rc::Rc;

use gateway::native::ws::Channel;

use super::stream_of;
use crate::node::node::Node;
use crate::node::socket::Socket;

/// Most answers that wait for one symbol. Beyond them a client is answered at once: its first trades may be
/// missing, and their numbers show it.
const MAX_OPENING: usize = 4_096;

/// An answer that waits for the owners of symbols.
pub(in crate::node) struct Opening {
    socket: Rc<Socket>,
    answer: Vec<u8>,
    /// How many symbols it waits for.
    left: Cell<usize>,
}

impl Node {
    /// Says that channels are subscribed: now, or once the owners tell of every trade.
    pub(in crate::node) fn say_once_open(
        &self,
        socket: &Rc<Socket>,
        added: &[Channel],
        answer: Vec<u8>,
    ) {
        let mut boards = self.market.boards.borrow_mut();
        let waits_for = |channel: &Channel| match channel {
            Channel::Trades(_) => stream_of(*channel).map(|(symbol, _)| symbol),
            _ => None,
        };
        let opening = Rc::new(Opening { socket: socket.clone(), answer, left: Cell::new(0) });
        for symbol in added.iter().filter_map(waits_for) {
            let Some(board) = boards.get_mut(&symbol) else { continue };
            if !board.is_open() && board.opening.len() < MAX_OPENING {
                board.opening.push(opening.clone());
                opening.left.set(opening.left.get() + 1);
            }
        }
        drop(boards);
        if opening.left.get() == 0 {
            self.say_opening(&opening);
        }
    }

    /// What these answers waited for is there, or nobody wants it any more.
    pub(super) fn opened(&self, answers: Vec<Rc<Opening>>) {
        for opening in answers {
            opening.left.set(opening.left.get() - 1);
            if opening.left.get() == 0 {
                self.say_opening(&opening);
            }
        }
    }

    fn say_opening(&self, opening: &Opening) {
        self.say(&opening.socket, |out| out.extend_from_slice(&opening.answer));
    }
}
