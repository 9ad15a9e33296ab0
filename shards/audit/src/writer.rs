//! The thread that takes records out of all queues and has them written.
//!
//! Promises: it is never waited for by a shard, and wakes by itself: seldom while little happens,
//! often while a queue fills. Within a file lines are in order of their times as far as the records
//! were there when it looked. What was dropped is told in the files as soon as they can be written.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::line::{write_gap, write_record};
use crate::log::Log;
use crate::record::{Kind, Record};
use crate::shared::Shared;
use crate::symbols::Names;

/// Shortest and longest sleep between two looks at the queues.
const MIN_PAUSE: Duration = Duration::from_millis(1);
const MAX_PAUSE: Duration = Duration::from_millis(50);
/// Queues filled by so many parts of 16 make the pauses shorter; below the other, longer.
const BUSY_FILL: usize = 4;
const CALM_FILL: usize = 1;
/// How long a closing writer goes on trying while the disk fails.
const CLOSE_TRIES: Duration = Duration::from_secs(4);

pub(crate) struct Writer {
    shared: Arc<Shared>,
    logs: [Log; Kind::ALL.len()],
    /// By kind and shard, the record that is out of its queue and in no line.
    heads: [Vec<Option<Record>>; Kind::ALL.len()],
    /// By kind and shard, how many dropped records gaps have told of.
    told_drops: [Vec<u64>; Kind::ALL.len()],
    names: Names,
}

impl Writer {
    pub fn new(shared: Arc<Shared>) -> Writer {
        let shards = usize::from(shared.lanes.shards());
        Writer {
            logs: Kind::ALL.map(|kind| Log::new(kind, shared.clone())),
            heads: Kind::ALL.map(|_| vec![None; shards]),
            told_drops: Kind::ALL.map(|_| vec![0; shards]),
            names: Names::default(),
            shared,
        }
    }

    /// The thread's work, until the trail is closed.
    pub fn run(mut self) {
        let mut pause = MIN_PAUSE;
        let mut flushed = 0;
        let mut closing_since = None;
        loop {
            // What was asked for, before the queues are looked at: it concerns what is in them now.
            let is_closing = self.shared.is_closing();
            let rotate = self.shared.rotate_asked.swap(false, Ordering::AcqRel);
            let asked = self.shared.flush_asked.load(Ordering::Acquire);
            let fill = self.round();
            let is_written = self.is_written();
            if rotate {
                self.logs.iter_mut().for_each(Log::rotate);
            }
            if asked > flushed && is_written {
                flushed = asked;
                self.shared.progress(|progress| progress.flushed = asked);
            }
            if is_closing {
                let since = *closing_since.get_or_insert_with(Instant::now);
                self.logs.iter_mut().for_each(Log::finish);
                if self.is_written() || since.elapsed() >= CLOSE_TRIES {
                    return self.end();
                }
            }
            pause = match fill {
                BUSY_FILL.. => MIN_PAUSE,
                CALM_FILL.. => pause,
                _ => (pause * 2).min(MAX_PAUSE),
            };
            std::thread::park_timeout(pause);
        }
    }

    /// Takes from every queue as much as was in it at the beginning, and writes it. Gives the fill of
    /// the fullest queue, in parts of 16.
    fn round(&mut self) -> usize {
        self.names.take_news(&self.shared.news);
        let mut fill = 0;
        for kind in Kind::ALL {
            let fullest = self.shared.lanes.of(kind).map(|(_, lane)| lane.fill()).max();
            fill = fill.max(fullest.unwrap_or(0));
            self.gather(kind);
            self.tell_gaps(kind);
            self.logs[kind as usize].write();
        }
        fill
    }

    /// Merges the queues of a kind by time, so far as there is room for lines.
    fn gather(&mut self, kind: Kind) {
        let Writer { shared, logs, heads, names, .. } = self;
        let (log, heads) = (&mut logs[kind as usize], &mut heads[kind as usize]);
        let mut left: Vec<usize> = shared.lanes.of(kind).map(|(_, lane)| lane.len()).collect();
        loop {
            for ((shard, lane), head) in shared.lanes.of(kind).zip(heads.iter_mut()) {
                let left = &mut left[usize::from(shard)];
                if head.is_none() && *left > 0 {
                    *left -= 1;
                    *head = lane.pop();
                }
            }
            let times = heads.iter().enumerate();
            let times = times.filter_map(|(shard, head)| Some((head.as_ref()?.at_ms, shard)));
            let Some((_, next)) = times.min() else { return };
            let Some(lines) = log.room() else { return };
            if let Some(record) = heads[next].take() {
                write_record(lines, next as u16, &record, names, &shared.news);
            }
        }
    }

    fn tell_gaps(&mut self, kind: Kind) {
        let Writer { shared, logs, told_drops, .. } = self;
        for ((shard, lane), told) in shared.lanes.of(kind).zip(&mut told_drops[kind as usize]) {
            // Without room now, it is told later and of more.
            if lane.dropped() == *told {
                continue;
            }
            let Some(lines) = logs[kind as usize].room() else { return };
            if let Some(gap) = lane.gap(shard, *told) {
                *told += gap.dropped;
                write_gap(lines, shared.config.now_ms(), kind, &gap);
            }
        }
    }

    /// Whether everything that was taken out of the queues is in files.
    fn is_written(&self) -> bool {
        let are_empty = |heads: &Vec<Option<Record>>| heads.iter().all(Option::is_none);
        self.logs.iter().all(|log| log.waiting_bytes() == 0) && self.heads.iter().all(are_empty)
    }

    fn end(mut self) {
        for log in &mut self.logs {
            log.rotate();
        }
        let lost_bytes = self.logs.iter().map(Log::waiting_bytes).sum::<usize>() as u64;
        self.shared.progress(|progress| progress.ended = Some(lost_bytes));
    }
}
