//! What clients of the rpc dialect say, and what they are answered.

use std::cell::RefCell;
use std::rc::Rc;

use engine::Registry;
use gateway::auth::Caller;
use gateway::rpc::{self, ClientMessage, Endpoint, MAX_SYMBOLS, Tag};
use money::SymbolId;

use super::node::Node;
use super::socket::{Followed, Socket, Speech};
use super::waiting::{Login, MessageTag};

impl Node {
    pub(super) fn rpc_message(
        &self,
        socket: &Rc<Socket>,
        endpoint: Endpoint,
        followed: &RefCell<Followed>,
        text: &str,
    ) {
        let Some(caller) = self.caller_now(socket) else { return };
        let read = {
            let shard = self.shard.borrow();
            rpc::read(text, endpoint, &self.context(&shard), &caller)
        };
        match read {
            Err(unread) => self.say(socket, |out| unread.write(out)),
            Ok(ClientMessage::Answered(answer)) => self.say(socket, |out| answer.write(out)),
            Ok(ClientMessage::Login { shown, tag }) => {
                self.log_in(socket, &shown, Some(Login::Rpc(tag)));
            }
            Ok(ClientMessage::Act { action, tag }) => {
                self.order_message(socket, &caller, action, MessageTag::Rpc(tag));
            }
            Ok(ClientMessage::MarketSubscribe { symbols, depth, tag }) => {
                self.rpc_subscribe(socket, followed, symbols, depth, &tag);
            }
            Ok(ClientMessage::MarketUnsubscribe { symbols, tag }) => {
                self.rpc_unsubscribe(socket, followed, symbols, &tag);
            }
        }
    }

    /// The user's home has said whether there is such a user.
    pub(super) fn rpc_logged_in(
        &self,
        socket: &Rc<Socket>,
        tag: &Tag,
        caller: &Caller,
        exists: bool,
    ) {
        let shard = self.shard.borrow();
        let context = self.context(&shard);
        self.say(socket, |out| match exists {
            true => rpc::login_success(tag, caller, &context, out),
            false => rpc::login_failed(tag, "api_key: unknown user", out),
        });
    }

    fn rpc_subscribe(
        &self,
        socket: &Rc<Socket>,
        followed: &RefCell<Followed>,
        symbols: Option<Vec<SymbolId>>,
        levels: usize,
        tag: &Tag,
    ) {
        let wanted = symbols.clone().unwrap_or_else(|| self.all_symbols());
        let added = {
            let followed = followed.borrow();
            wanted.iter().filter(|symbol| !followed.symbols.contains_key(symbol)).count()
        };
        if followed.borrow().symbols.len() + added > MAX_SYMBOLS {
            let issue = format!("a connection follows at most {MAX_SYMBOLS} symbols");
            return self.say(socket, |out| {
                let code = rpc::Code::InvalidParameters;
                rpc::refuse(tag.id.as_ref(), code, "symbols", &issue, out);
            });
        }
        self.say_of_symbols(socket, |registry, out| {
            rpc::subscribed(tag, symbols.as_deref(), levels, registry, out);
        });
        if symbols.is_none() {
            followed.borrow_mut().all = Some(levels);
        }
        for symbol in wanted {
            let before = followed.borrow_mut().symbols.insert(symbol, levels);
            if let Some(before) = before {
                self.unfollow_rpc(socket, symbol, before);
            }
            self.follow_rpc(socket, symbol, levels);
        }
    }

    fn rpc_unsubscribe(
        &self,
        socket: &Rc<Socket>,
        followed: &RefCell<Followed>,
        symbols: Option<Vec<SymbolId>>,
        tag: &Tag,
    ) {
        let wanted = symbols.clone().unwrap_or_else(|| self.all_symbols());
        if symbols.is_none() {
            followed.borrow_mut().all = None;
        }
        for symbol in wanted {
            let levels = followed.borrow_mut().symbols.remove(&symbol);
            if let Some(levels) = levels {
                self.unfollow_rpc(socket, symbol, levels);
            }
        }
        self.say_of_symbols(socket, |registry, out| {
            rpc::unsubscribed(tag, symbols.as_deref(), registry, out);
        });
    }

    fn all_symbols(&self) -> Vec<SymbolId> {
        let shard = self.shard.borrow();
        let count = shard.engine().registry().symbols().len() as u32;
        (0..count).map(SymbolId).collect()
    }

    fn say_of_symbols(&self, socket: &Rc<Socket>, write: impl FnOnce(&Registry, &mut Vec<u8>)) {
        let shard = self.shard.borrow();
        self.say(socket, |out| write(shard.engine().registry(), out));
    }

    /// Has those who follow all symbols follow new ones. Called about once a second.
    pub(super) fn follow_new_symbols(&self, socket: &Rc<Socket>) {
        let Speech::Rpc(_, followed) = &socket.speech else { return };
        let Some(levels) = followed.borrow().all else { return };
        for symbol in self.all_symbols() {
            let mut followed = followed.borrow_mut();
            if followed.symbols.len() == MAX_SYMBOLS || followed.symbols.contains_key(&symbol) {
                continue;
            }
            followed.symbols.insert(symbol, levels);
            drop(followed);
            self.follow_rpc(socket, symbol, levels);
        }
    }
}
