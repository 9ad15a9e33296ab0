//! What happens by the clock, not by an event.

use std::rc::Rc;
use std::time::Duration;

use super::commit::prepare;
use super::node::Node;
use super::outlet::Flush;

/// How often peers are told what is applied here, when nothing else tells them.
const CONFIRM_EVERY: Duration = Duration::from_millis(100);
/// After how many of those the connections' limits are looked at: about a second.
const LIMITS_EVERY_TICKS: u32 = 10;

/// Confirmations, snapshots, limits of quiet connections, the next segment after a full disk. Never ends.
pub(crate) async fn tick(node: Rc<Node>) {
    let mut ticks = 0u32;
    loop {
        glommio::timer::sleep(CONFIRM_EVERY).await;
        node.clock.turn();
        confirm(&node);
        node.checkpoints.turn(&node.shard.borrow());
        node.refresh_market();
        ticks = ticks.wrapping_add(1);
        if ticks.is_multiple_of(LIMITS_EVERY_TICKS) {
            prepare(&node);
            let sessions: Vec<_> =
                node.sessions.borrow().iter().map(|(_, session)| session.clone()).collect();
            for session in sessions {
                session.check_limits(node.clock.now_ms());
            }
            let sockets: Vec<_> =
                node.sockets.borrow().iter().map(|(_, socket)| socket.clone()).collect();
            for socket in sockets {
                // No change tells that a key has come to its end: it is looked for.
                if node.caller_now(&socket).is_none() {
                    socket.clone().flush();
                }
                socket.check_limits(node.clock.now_ms());
                node.follow_new_symbols(&socket);
            }
            node.tidy_feeds();
            node.tidy_guard();
        }
    }
}

fn confirm(node: &Rc<Node>) {
    let mut outputs = std::mem::take(&mut *node.outputs.borrow_mut());
    node.shard.borrow_mut().confirm_all(&mut outputs);
    if !outputs.is_empty() {
        for output in outputs.drain(..) {
            node.dispatch(output);
        }
        node.turn.notify();
    }
    *node.outputs.borrow_mut() = outputs;
}
