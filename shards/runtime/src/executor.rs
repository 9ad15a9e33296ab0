//! The executors: glommio with the settings that this server needs, the same in the server, in the
//! bare server that it is compared with, and in the measurements.

use crate::cores::ShardPlacement;
use crate::rescue;
use glommio::{ExecutorJoinHandle, GlommioError, LocalExecutorBuilder};
use std::time::Duration;

/// How an executor is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecutorSettings {
    /// After how long a busy executor looks at its I/O. With glommio's 100 ms a commit waits 200 ms
    /// behind a task that is always ready; at 200 µs and below the executor may make no progress.
    pub preempt_timer: Duration,
    /// Memory registered with the kernel for direct I/O, in bytes. It is resident from the start;
    /// buffers beyond it come from the allocator. Room for two batches and their tails.
    pub io_memory_bytes: usize,
    /// Entries of each of the three rings. Sockets that wait do not occupy one: it bounds how many
    /// operations are handed to the kernel at once.
    pub ring_depth_entries: usize,
    /// How long an idle executor looks for work before it sleeps. Costs a whole core; `None` is off.
    pub spin_before_park: Option<Duration>,
}

impl Default for ExecutorSettings {
    fn default() -> Self {
        Self {
            preempt_timer: Duration::from_millis(1),
            io_memory_bytes: 4 * 1024 * 1024,
            ring_depth_entries: 256,
            spin_before_park: None,
        }
    }
}

impl ExecutorSettings {
    /// Starts the executor of one shard in a thread of its own. `make` runs there.
    pub fn start<F, T>(
        &self,
        placement: &ShardPlacement,
        shard: usize,
        make: impl FnOnce() -> F + Send + 'static,
    ) -> Result<ExecutorJoinHandle<T>, GlommioError<()>>
    where
        F: Future<Output = T> + 'static,
        T: Send + 'static,
    {
        let builder = LocalExecutorBuilder::new(placement.executor(shard))
            .name(&format!("shard-{shard}"))
            .preempt_timer(self.preempt_timer)
            .io_memory(self.io_memory_bytes)
            .ring_depth(self.ring_depth_entries)
            .blocking_thread_pool_placement(placement.helper());
        let builder = match self.spin_before_park {
            Some(time) => builder.spin_before_park(time),
            None => builder,
        };
        builder.spawn(move || {
            rescue::watch_this_executor();
            make()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cores::CoreList;

    #[test]
    fn a_pinned_shard_runs_on_its_core_and_its_helper_anywhere() {
        let placement = ShardPlacement::decide(None, Some(1)).unwrap();
        let run = || async {
            let own = CoreList::available().unwrap();
            let ask = || CoreList::available().unwrap();
            (own, glommio::executor().spawn_blocking(ask).await)
        };
        let handle = ExecutorSettings::default().start(&placement, 0, run).unwrap();
        let (own, helper) = handle.join().unwrap();
        assert_eq!(own.cores(), [placement.core(0).unwrap()]);
        assert_eq!(helper, CoreList::available().unwrap());
    }

    #[test]
    fn more_shards_than_cores_all_run() {
        let shards = 2 * CoreList::available().unwrap().cores().len();
        let placement = ShardPlacement::decide(None, Some(shards)).unwrap();
        let start = |shard| {
            ExecutorSettings::default().start(&placement, shard, move || async move { shard })
        };
        let handles: Vec<_> = (0..shards).map(|shard| start(shard).unwrap()).collect();
        for (shard, handle) in handles.into_iter().enumerate() {
            assert_eq!(handle.join().unwrap(), shard);
        }
    }
}
