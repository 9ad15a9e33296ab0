//! The commit: one batch on its way to the disk while the next one gathers.

use std::pin::pin;
use std::rc::Rc;
use std::time::Instant;

use super::node::Node;

/// Writes batches, one after the other. Never ends. Unless the configuration says otherwise no timer
/// delays a lone record: it is written as soon as no other batch is.
pub(crate) async fn commit(node: Rc<Node>) {
    loop {
        node.commit.notified().await;
        loop {
            wait_for_more(&node).await;
            // Taken in a statement of its own: nothing is borrowed while the disk works.
            let batch = node.shard.borrow_mut().take_batch();
            let Some(batch) = batch else { break };
            let since = Instant::now();
            node.batch_taken(batch.last_lsn(), since);
            let (records, bytes) = (batch.records(), batch.length_bytes());
            let written = batch.write().await;
            if let Err(error) = node.shard.borrow_mut().written(written) {
                node.fatal(&error);
            }
            let durable = Instant::now();
            node.metrics.committed(durable - since, u64::from(records), bytes as u64);
            node.batch_durable(durable);
            // What the batch made durable leaves with the turn, while the next one is written.
            node.turn.notify();
            prepare(&node);
        }
    }
}

/// Lets records join the oldest one until that has waited as long as is configured, or a batch is full.
/// What has waited behind another batch has waited already.
async fn wait_for_more(node: &Node) {
    let Some(since) = node.gathering_since().filter(|_| !node.gather.is_zero()) else { return };
    let left = node.gather.saturating_sub(since.elapsed());
    if left.is_zero() {
        return;
    }
    let mut end = pin!(async {
        glommio::timer::sleep(left).await;
        true
    });
    while !node.shard.borrow().journal().has_full_batch() {
        let more = async {
            node.commit.notified().await;
            false
        };
        if futures_lite::future::or(&mut end, more).await {
            return;
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
