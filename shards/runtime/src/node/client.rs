//! A gateway without a network: the driver of a replay or of a demo, inside the process.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use engine::{Registry, Reply};
use shard::Request;

use super::node::Node;
use super::parcel::Token;
use super::waiting::Waiter;
use crate::wake::Notify;

/// What a driver does, on shard 0's executor.
pub type Driver = Box<dyn FnOnce(Client) -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// Answers that the driver has not taken yet.
#[derive(Default)]
pub(crate) struct ClientQueue {
    replies: RefCell<VecDeque<(Token, Reply)>>,
    arrived: Notify,
}

impl ClientQueue {
    pub fn push(&self, token: Token, reply: Reply) {
        self.replies.borrow_mut().push_back((token, reply));
        self.arrived.notify();
    }
}

/// A connection of the driver to the node. Commands go to the shards that own them, as a gateway's
/// do; answers come when they are durable, in any order.
pub struct Client {
    node: Rc<Node>,
    queue: Rc<ClientQueue>,
    next: std::cell::Cell<Token>,
}

impl Client {
    pub(crate) fn new(node: Rc<Node>) -> Client {
        Client { node, queue: Rc::default(), next: std::cell::Cell::new(0) }
    }

    /// Asks, without waiting. Returns what the answer will come under. The driver bounds how much it
    /// has under way.
    pub fn submit(&self, request: Request) -> u64 {
        let token = self.next.get();
        self.next.set(token + 1);
        let queue = self.queue.clone();
        let waiting = self.node.waiting.insert(Waiter::Client { queue, token });
        self.node.clock.turn();
        self.node.ask_request(waiting, request, None);
        self.node.turn.notify();
        token
    }

    /// Waits until this shard admits commands: a driver that keeps an order cannot have one refused
    /// in the middle.
    pub async fn room(&self) {
        const RETRY: Duration = Duration::from_millis(1);
        while !self.node.admits() {
            self.sleep(RETRY).await;
        }
    }

    /// The next answer.
    pub async fn next(&self) -> (u64, Reply) {
        loop {
            if let Some(answer) = self.queue.replies.borrow_mut().pop_front() {
                return answer;
            }
            self.queue.arrived.notified().await;
        }
    }

    /// The next answer, if it is here.
    pub fn try_next(&self) -> Option<(u64, Reply)> {
        self.queue.replies.borrow_mut().pop_front()
    }

    /// Asks and waits for the answer. Only while nothing else is under way.
    pub async fn call(&self, request: Request) -> Reply {
        let token = self.submit(request);
        let (answered, reply) = self.next().await;
        assert_eq!(answered, token, "a call is the only request under way");
        reply
    }

    /// Assets and symbols as shard 0 knows them.
    pub fn registry(&self) -> Registry {
        self.node.shard.borrow().engine().registry().clone()
    }

    /// How many shards there are.
    pub fn shards(&self) -> u16 {
        self.node.placement.shards()
    }

    /// Lets the executor do other things for a while.
    pub async fn sleep(&self, time: Duration) {
        glommio::timer::sleep(time).await;
    }

    /// Lets the executor do other things that are ready.
    pub async fn yield_now(&self) {
        futures_lite::future::yield_now().await;
    }
}
