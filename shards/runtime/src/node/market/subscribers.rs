//! Who gets one stream of one symbol on this shard.

use std::collections::HashMap;
use std::rc::Rc;

use bytes::Bytes;

use crate::node::node::Node;
use crate::node::socket::Socket;

struct Subscriber {
    socket: Rc<Socket>,
    /// It has to be given the newest state before anything else.
    is_behind: bool,
}

/// The subscribers of a stream. Who does not read fast enough falls behind: it is sent nothing until it
/// has caught up, and then the newest state.
#[derive(Default)]
pub(super) struct Subscribers {
    list: Vec<Subscriber>,
    /// By the socket's key.
    place: HashMap<usize, usize>,
    behind: usize,
    /// The published state that those who are not behind have, where states are counted.
    pub tick: u64,
}

impl Subscribers {
    /// Adds a connection; it is behind until it has been given the state.
    pub fn add(&mut self, socket: &Rc<Socket>) {
        let place = self.list.len();
        if self.place.insert(socket.key.get(), place).is_some() {
            debug_assert!(false, "a connection subscribes a stream once");
            return;
        }
        self.list.push(Subscriber { socket: socket.clone(), is_behind: true });
        self.behind += 1;
    }

    /// Removes a connection.
    pub fn remove(&mut self, socket: &Socket) {
        let Some(place) = self.place.remove(&socket.key.get()) else { return };
        let removed = self.list.swap_remove(place);
        self.behind -= usize::from(removed.is_behind);
        if let Some(moved) = self.list.get(place) {
            self.place.insert(moved.socket.key.get(), place);
        }
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether somebody has to be given the newest state.
    pub fn has_behind(&self) -> bool {
        self.behind > 0
    }

    /// Whether somebody could make use of a change.
    pub fn has_current(&self) -> bool {
        self.behind < self.list.len()
    }

    /// Sends a change to those who have all before it. Who does not keep up falls behind.
    pub fn change(&mut self, node: &Node, frame: &Bytes) {
        for subscriber in self.list.iter_mut().filter(|subscriber| !subscriber.is_behind) {
            if subscriber.socket.keeps_up() {
                node.published(&subscriber.socket, subscriber.socket.send_frame(frame.clone()));
            } else {
                subscriber.is_behind = true;
                self.behind += 1;
                node.metrics.push_conflated();
            }
        }
    }

    /// Sends the newest state to those who are behind and can take it.
    pub fn catch_up(&mut self, node: &Node, frame: &Bytes) {
        self.let_catch_up(|socket| node.published(socket, socket.send_frame(frame.clone())));
    }

    /// Those who were behind may be sent what comes next, without anything before it.
    pub fn begin_anew(&mut self) {
        self.let_catch_up(|_| {});
    }

    fn let_catch_up(&mut self, mut each: impl FnMut(&Rc<Socket>)) {
        if self.behind == 0 {
            return;
        }
        for subscriber in self.list.iter_mut().filter(|subscriber| subscriber.is_behind) {
            if subscriber.socket.keeps_up() {
                subscriber.is_behind = false;
                self.behind -= 1;
                each(&subscriber.socket);
            }
        }
    }
}
