//! The commit: one batch on its way to the disk while the next one gathers.

use std::rc::Rc;
use std::time::Instant;

use super::node::Node;

/// Writes batches, one after the other. Never ends. No timer delays a lone record: it is written as
/// soon as no other batch is.
pub(crate) async fn commit(node: Rc<Node>) {
    loop {
        node.commit.notified().await;
        loop {
            // Taken in a statement of its own: nothing is borrowed while the disk works.
            let batch = node.shard.borrow_mut().take_batch();
            let Some(batch) = batch else { break };
            let since = Instant::now();
            let (records, bytes) = (batch.records(), batch.length_bytes());
            let written = batch.write().await;
            if let Err(error) = node.shard.borrow_mut().written(written) {
                node.fatal(&error);
            }
            node.metrics.committed(since.elapsed(), u64::from(records), bytes as u64);
            // What the batch made durable leaves with the turn, while the next one is written.
            node.turn.notify();
            prepare(&node);
        }
    }
}

/// Has the next segment made in the background, if one is wanted.
pub(crate) fn prepare(node: &Rc<Node>) {
    let now_ms = node.clock.now_ms();
    let Some(preparation) = node.shard.borrow_mut().journal_mut().preparation(now_ms) else {
        return;
    };
    let node = node.clone();
    glommio::spawn_local(async move {
        let prepared = preparation.run().await;
        let result = node.shard.borrow_mut().journal_mut().complete_preparation(prepared);
        if let Err(error) = result {
            node.fatal(&error);
        }
        if node.shard.borrow().journal().no_space() {
            tracing::error!(
                shard = node.here.0,
                "no space for the next journal segment: new orders are refused until there is"
            );
        }
        // A full segment may have held batches back, and orders have been refused.
        node.commit.notify();
        node.turn.notify();
    })
    .detach();
}
