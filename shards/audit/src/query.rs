//! Finding lines: newest first, over open, closed and compressed files.
//!
//! Promises: what a query reads and keeps is bounded; where it stops early it says up to where it
//! looked, and everything that it gives is complete to there. A line that is no line of the trail, as
//! a crash leaves one, is passed over and counted. Every line given is JSON.

use std::collections::VecDeque;

use crate::config::{MAX_FILE_BYTES, TrailConfig};
use crate::files::{Found, directory_of, list};
use crate::line::{concerns, time_of};
use crate::pending::QueryError;
use crate::record::Kind;
use crate::scan::{first_line, plain_bytes, scan_packed, scan_plain};
use crate::shared::{Shared, Writing};

/// Most lines that one query gives.
pub const MAX_LOG_LINES: usize = 1_000;
/// How much later than its neighbours in the file a line may be, in ms: shards read their clock
/// before they hand a record over.
const DISORDER_MS: u64 = 1_000;

/// Which lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogQuery {
    /// Of this kind; `None`: of all.
    pub kind: Option<Kind>,
    /// By or on this user, and gaps, which may have been; `None`: everybody.
    pub user: Option<u64>,
    /// Not before, in ms since the epoch.
    pub from_ms: u64,
    /// Not after, in ms since the epoch.
    pub to_ms: u64,
    /// The newest so many; 1 to [`MAX_LOG_LINES`].
    pub limit: usize,
}

impl Default for LogQuery {
    fn default() -> LogQuery {
        LogQuery { kind: None, user: None, from_ms: 0, to_ms: u64::MAX, limit: 100 }
    }
}

impl LogQuery {
    pub(crate) fn check(&self) -> Result<(), QueryError> {
        if !(1..=MAX_LOG_LINES).contains(&self.limit) {
            return Err(QueryError::Limit);
        }
        if self.from_ms > self.to_ms {
            return Err(QueryError::Range);
        }
        Ok(())
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LogPage {
    /// Objects of JSON as they are in the files, newest first.
    pub lines: Vec<Box<str>>,
    /// So much was read that the query stopped, before it had all that was asked for.
    pub truncated: bool,
    /// Where it stopped, in ms since the epoch: all later ones were looked at. Going on from there is
    /// the same query with this as `to_ms`. Only when it stopped, and saw anything at all.
    pub stopped_at_ms: Option<u64>,
    /// Lines that cannot be read.
    pub broken_lines: u64,
    /// Whether everything that was recorded before the query was there to be found; if not, the writer
    /// did not get it to the files in time.
    pub is_complete: bool,
}

pub(crate) fn run(shared: &Shared, query: &LogQuery) -> Result<LogPage, QueryError> {
    let mut found: Vec<(u64, Box<str>)> = Vec::new();
    let mut page = LogPage::default();
    let kinds = Kind::ALL.into_iter().filter(|kind| query.kind.is_none_or(|only| only == *kind));
    for kind in kinds {
        let mut search = Search::new(query, &shared.config);
        search.run(shared, kind)?;
        page.broken_lines += search.broken_lines;
        if search.truncated {
            page.truncated = true;
            page.stopped_at_ms = page.stopped_at_ms.max(search.seen_ms);
        }
        found.append(&mut search.found);
    }
    found.sort_by_key(|(at_ms, _)| std::cmp::Reverse(*at_ms));
    // Where one kind was not looked at, lines of the others would look like all there is.
    let whole_from_ms = if page.truncated { page.stopped_at_ms.unwrap_or(0) } else { 0 };
    found.retain(|(at_ms, _)| *at_ms >= whole_from_ms);
    found.truncate(query.limit);
    page.lines = found.into_iter().map(|(_, line)| line).collect();
    Ok(page)
}

/// One query in the files of one kind.
pub(crate) struct Search<'a> {
    query: &'a LogQuery,
    user: Option<Box<[u8]>>,
    /// What may still be read.
    pub budget_bytes: u64,
    /// Newest first.
    found: Vec<(u64, Box<str>)>,
    pub broken_lines: u64,
    /// The time of the line that was looked at last, in its file's order.
    seen_ms: Option<u64>,
    pub truncated: bool,
}

impl<'a> Search<'a> {
    fn new(query: &'a LogQuery, config: &TrailConfig) -> Search<'a> {
        Search {
            query,
            user: query.user.map(|user| user.to_string().into_bytes().into()),
            budget_bytes: config.scan_bytes,
            found: Vec::new(),
            broken_lines: 0,
            seen_ms: None,
            truncated: false,
        }
    }

    fn run(&mut self, shared: &Shared, kind: Kind) -> Result<(), QueryError> {
        let fail = |error: std::io::Error| QueryError::Files(format!("{kind}: {error}"));
        let files = list(&directory_of(&shared.config.directory, kind)).map_err(fail)?;
        let writing = shared.told(kind).state().writing;
        let later_ms = self.query.to_ms.saturating_add(DISORDER_MS);
        // Files are in order of time, so those that begin too late are at the end.
        let count = files.partition_point(|file| begins_ms(file) <= later_ms);
        for file in files[..count].iter().rev() {
            if shared.is_closing() {
                return Err(QueryError::Closed);
            }
            if file.name.day.end_ms().saturating_add(DISORDER_MS) < self.query.from_ms {
                break;
            }
            let is_open = writing == Writing::File(file.name);
            self.read(file, is_open).map_err(fail)?;
            let is_enough = self.found.len() >= self.query.limit;
            let is_past = begins_ms(file).saturating_add(DISORDER_MS) < self.query.from_ms;
            if is_enough || self.truncated || is_past {
                break;
            }
        }
        Ok(())
    }

    fn read(&mut self, file: &Found, is_open: bool) -> std::io::Result<()> {
        if !file.is_packed {
            return scan_plain(&file.path, is_open, self);
        }
        // It can only be read from its beginning, so half of it would be the wrong half. The first one
        // is read in any case, or a file written under a higher limit would hide all behind it.
        let bytes = plain_bytes(&file.path)?;
        if bytes > self.budget_bytes {
            if self.seen_ms.is_some() {
                self.truncated = true;
                return Ok(());
            }
            self.budget_bytes = bytes.min(MAX_FILE_BYTES);
        }
        let room = self.query.limit - self.found.len().min(self.query.limit);
        let mut kept = VecDeque::with_capacity(room.min(MAX_LOG_LINES));
        let mut first_ms = None;
        scan_packed(&file.path, self, |search, line| {
            let Some(at_ms) = search.judge(line, &mut first_ms) else { return };
            if let Some(text) = search.checked(line) {
                if kept.len() == room {
                    kept.pop_front();
                }
                kept.push_back((at_ms, text));
            }
        })?;
        self.seen_ms = first_ms.or(self.seen_ms);
        self.found.extend(kept.into_iter().rev());
        Ok(())
    }

    /// A line of a plain file, from its end on. `false` when no more are wanted.
    pub fn take(&mut self, line: &[u8]) -> bool {
        let mut seen_ms = None;
        if let Some(at_ms) = self.judge(line, &mut seen_ms)
            && let Some(text) = self.checked(line)
        {
            self.found.push((at_ms, text));
        }
        self.seen_ms = seen_ms.or(self.seen_ms);
        let is_past =
            seen_ms.is_some_and(|at_ms| at_ms.saturating_add(DISORDER_MS) < self.query.from_ms);
        self.found.len() < self.query.limit && !is_past
    }

    /// The time of a line that is asked for; tells the first time that it sees.
    fn judge(&mut self, line: &[u8], first_ms: &mut Option<u64>) -> Option<u64> {
        let Some(at_ms) = time_of(line) else {
            self.broken_lines += 1;
            return None;
        };
        first_ms.get_or_insert(at_ms);
        let is_in_time = (self.query.from_ms..=self.query.to_ms).contains(&at_ms);
        let is_theirs = || self.user.as_ref().is_none_or(|user| concerns(line, user));
        (is_in_time && is_theirs()).then_some(at_ms)
    }

    /// The line, if it is JSON.
    fn checked(&mut self, line: &[u8]) -> Option<Box<str>> {
        let text = std::str::from_utf8(line).ok();
        let text =
            text.filter(|text| serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok());
        if text.is_none() {
            self.broken_lines += 1;
        }
        text.map(Into::into)
    }
}

/// When the first line of a file was; the beginning of its day if nobody can tell.
pub(crate) fn begins_ms(file: &Found) -> u64 {
    let line = first_line(&file.path, file.is_packed).ok().flatten();
    line.and_then(|line| time_of(&line)).unwrap_or_else(|| file.name.day.start_ms())
}
