//! The file that one kind is written to, and the lines that wait for it.
//!
//! Promises: lines wait in a buffer of bounded size; a line leaves it when it is in the file whole. A
//! failing disk is tried again every [`RETRY_MS`], told once when it begins and once when it ends, and
//! neither loses nor doubles a line. A file that holds enough, or is of yesterday, is synced and
//! closed at the end of a line.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::files::{self, Name, create_next, directory_of};
use crate::line::MAX_LINE_BYTES;
use crate::record::Kind;
use crate::shared::{Shared, Writing};
use crate::time::Day;

/// Lines are written when there are so many bytes of them, or when the writer goes to sleep.
const WRITE_BYTES: usize = 1 << 20;
/// Pause behind an error before the disk is tried again.
const RETRY_MS: u64 = 500;

struct Open {
    file: File,
    name: Name,
    bytes: u64,
    /// The first write that no sync is behind.
    unsynced_since: Option<Instant>,
}

pub(crate) struct Log {
    pub kind: Kind,
    shared: Arc<Shared>,
    /// Lines that are not in a file yet, the first of them perhaps in part.
    lines: Vec<u8>,
    /// How many bytes of the first line are in the open file.
    begun: usize,
    open: Option<Open>,
    retry_at: Option<Instant>,
}

impl Log {
    pub fn new(kind: Kind, shared: Arc<Shared>) -> Log {
        let lines = Vec::with_capacity(WRITE_BYTES + MAX_LINE_BYTES);
        Log { kind, shared, lines, begun: 0, open: None, retry_at: None }
    }

    /// Where to put a line, if there is room for one; writes when there is not.
    pub fn room(&mut self) -> Option<&mut Vec<u8>> {
        if self.lines.len() >= WRITE_BYTES {
            self.write();
        }
        (self.lines.len() < WRITE_BYTES).then_some(&mut self.lines)
    }

    /// Bytes that are in no file.
    pub fn waiting_bytes(&self) -> usize {
        self.lines.len()
    }

    /// Writes what there is, and syncs when it is time to. While the disk fails, only after a pause.
    pub fn write(&mut self) {
        if self.retry_at.is_some_and(|at| Instant::now() < at) {
            return;
        }
        let result = self.try_write();
        self.judge(result);
    }

    /// The same at once and with a sync.
    pub fn finish(&mut self) {
        let result = self.try_write().and_then(|()| self.try_sync());
        self.judge(result);
    }

    /// Syncs and closes the file, so that it can be compressed. What waits comes into the next one.
    pub fn rotate(&mut self) {
        if self.begun == 0 {
            let result = self.try_close();
            self.judge(result);
        }
    }

    /// When the file wants a sync.
    pub fn sync_due(&self) -> Option<Instant> {
        let since = self.open.as_ref()?.unsynced_since?;
        Some(since + Duration::from_millis(self.shared.config.sync_ms))
    }

    fn try_write(&mut self) -> io::Result<()> {
        while !self.lines.is_empty() {
            let now_ms = self.shared.config.now_ms();
            let file_bytes = self.shared.config.file_bytes;
            let day = Day::of(now_ms);
            let room = |open: &Open| file_bytes.saturating_sub(open.bytes) as usize;
            let lines = whole_lines(&self.lines[self.begun..], self.open.as_ref().map_or(0, room));
            let is_over = |open: &Open| open.name.day != day || (lines == 0 && open.bytes > 0);
            if self.begun == 0 && self.open.as_ref().is_some_and(is_over) {
                self.try_close()?;
                continue;
            }
            if self.open.is_none() {
                self.try_open(day)?;
                continue;
            }
            // A line that fits into no file, and the rest of one, are written all the same.
            let end = if lines == 0 { first_line(&self.lines[self.begun..]) } else { lines };
            self.put(self.begun + end, now_ms)?;
        }
        let is_due = self.sync_due().is_some_and(|due| due <= Instant::now());
        if is_due { self.try_sync() } else { Ok(()) }
    }

    /// Writes up to `end` of the lines, and forgets those that are whole in the file.
    fn put(&mut self, end: usize, now_ms: u64) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        while self.begun < end {
            match open.file.write(&self.lines[self.begun..end]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    open.bytes += count as u64;
                    open.unsynced_since.get_or_insert_with(Instant::now);
                    self.begun += count;
                    self.shared.told(self.kind).bytes.fetch_add(count as u64, Ordering::Relaxed);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.forget_whole_lines(now_ms);
                    return Err(error);
                }
            }
        }
        self.forget_whole_lines(now_ms);
        Ok(())
    }

    fn forget_whole_lines(&mut self, now_ms: u64) {
        let whole = whole_lines(&self.lines[..self.begun], self.begun);
        let count = self.lines[..whole].iter().filter(|byte| **byte == b'\n').count();
        self.lines.drain(..whole);
        self.begun -= whole;
        if count > 0 {
            let told = self.shared.told(self.kind);
            told.written.fetch_add(count as u64, Ordering::Relaxed);
            told.last_write_ms.store(now_ms, Ordering::Relaxed);
        }
    }

    fn try_open(&mut self, day: Day) -> io::Result<()> {
        let directory = directory_of(&self.shared.config.directory, self.kind);
        let told = self.shared.told(self.kind);
        told.state().writing = Writing::Next;
        let (name, file) = create_next(&directory, day)?;
        told.state().writing = Writing::File(name);
        self.open = Some(Open { file, name, bytes: 0, unsynced_since: None });
        Ok(())
    }

    fn try_close(&mut self) -> io::Result<()> {
        self.try_sync()?;
        if self.open.is_some() {
            self.leave();
        }
        Ok(())
    }

    fn try_sync(&mut self) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if open.unsynced_since.is_some() {
            if let Err(error) = open.file.sync_data() {
                // Nobody knows what of the file is on the disk, and asking again would not tell.
                self.leave();
                return Err(error);
            }
            open.unsynced_since = None;
            if files::is_gone(&open.file) {
                let name = open.name.plain();
                tracing::error!(kind = %self.kind, "audit: {name} was removed while it was written");
                self.leave();
            }
        }
        Ok(())
    }

    /// Goes on in another file. A line that is there in part will be whole in that one.
    fn leave(&mut self) {
        self.open = None;
        self.begun = 0;
        self.shared.told(self.kind).state().writing = Writing::Nothing;
        self.shared.rotations.fetch_add(1, Ordering::Release);
    }

    fn judge(&mut self, result: io::Result<()>) {
        let failing = result.err().map(|error| format!("{}: {error}", self.kind));
        self.retry_at = failing.as_ref().map(|_| Instant::now() + Duration::from_millis(RETRY_MS));
        let mut state = self.shared.told(self.kind).state();
        if state.failing == failing {
            return;
        }
        match &failing {
            Some(why) => tracing::error!("audit: cannot write, records may be dropped: {why}"),
            None => tracing::info!("audit: {}: writing again", self.kind),
        }
        state.failing = failing;
    }
}

/// Bytes of the whole lines among the first `limit` bytes.
fn whole_lines(lines: &[u8], limit: usize) -> usize {
    let among = &lines[..limit.min(lines.len())];
    among.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1)
}

fn first_line(lines: &[u8]) -> usize {
    lines.iter().position(|&byte| byte == b'\n').map_or(lines.len(), |at| at + 1)
}
