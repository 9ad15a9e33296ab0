//! Questions to the audit trail: handed to its thread, looked for now and then, answered.

use std::time::{Duration, Instant};

use audit::{Kind, LogPage, LogQuery, Pending, QueryError, Stats, Symbol};
use gateway::desk::{self, AuditQuestion, AuditSearch};
use gateway::middleware::AuditKind;

use super::node::Node;
use super::waiting::HttpWaiter;

/// How often a shard looks whether there is an answer.
const ANSWER_POLL: Duration = Duration::from_millis(5);
/// How long it looks: compressing everything takes its time.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// What is said without a trail.
const NO_TRAIL: &str = "this server keeps no audit trail: set audit";

impl Node {
    /// Asks the trail.
    pub(super) fn ask_trail(&self, http: HttpWaiter, question: AuditQuestion) {
        let Some(trail) = &self.whole_trail else {
            return self.complete(http, |respond, out| desk::refuse_audit(respond, NO_TRAIL, out));
        };
        match question {
            AuditQuestion::Logs { kind, user, from_ms, to_ms, limit } => {
                let kind = kind.map(kind_of);
                let user = user.map(|user| user.0);
                let asked = trail.logs(LogQuery { kind, user, from_ms, to_ms, limit });
                self.await_trail(http, asked, write_page);
            }
            AuditQuestion::Stats => self.await_trail(http, trail.stats(), write_stats),
            AuditQuestion::Archive => {
                self.await_trail(http, trail.archive(), |archived, out| {
                    out.extend_from_slice(
                        format!("{{\"ok\":true,\"archived\":{archived}}}").as_bytes(),
                    );
                });
            }
        }
    }

    fn await_trail<T: 'static>(
        &self,
        http: HttpWaiter,
        asked: Result<Pending<T>, QueryError>,
        write: impl Fn(&T, &mut Vec<u8>) + 'static,
    ) {
        let (pending, node) = match (asked, self.me.upgrade()) {
            (Ok(pending), Some(node)) => (pending, node),
            (Err(error), _) => return self.trail_failed(http, &error),
            (_, None) => return,
        };
        glommio::spawn_local(async move {
            let since = Instant::now();
            loop {
                glommio::timer::sleep(ANSWER_POLL).await;
                match pending.try_take() {
                    Some(Ok(answer)) => {
                        let mut object = Vec::new();
                        write(&answer, &mut object);
                        node.complete(http, |respond, out| {
                            desk::respond_audit(respond, &object, out);
                        });
                        break;
                    }
                    Some(Err(error)) => {
                        node.trail_failed(http, &error);
                        break;
                    }
                    None if since.elapsed() > ANSWER_LIMIT => {
                        node.trail_failed(http, &QueryError::Busy);
                        break;
                    }
                    None => {}
                }
            }
            node.turn.notify();
        })
        .detach();
    }

    fn trail_failed(&self, http: HttpWaiter, error: &QueryError) {
        let detail = error.to_string();
        self.complete(http, |respond, out| desk::refuse_audit(respond, &detail, out));
    }

    /// The numbers of the trail for metrics, if there is one.
    pub(super) fn trail_numbers(&self) -> Option<telemetry::AuditTrail> {
        let counters = self.whole_trail.as_ref()?.counters();
        let kind = |(place, kind): (usize, Kind)| telemetry::AuditKind {
            name: kind.as_str(),
            written: counters.written[place],
            dropped: counters.dropped[place],
            bytes: counters.bytes[place],
        };
        Some(telemetry::AuditTrail {
            kinds: Kind::ALL.into_iter().enumerate().map(kind).collect(),
            queued: counters.queued,
            is_failing: counters.is_failing,
        })
    }

    /// Tells the trail the names of symbols that this shard has not told it of: before the first record that
    /// needs one. Each shard tells all that it knows; the trail does not mind.
    pub(super) fn name_symbols(&self) {
        let Some(trail) = &self.whole_trail else { return };
        let shard = self.shard.borrow();
        let symbols = shard.engine().registry().symbols();
        for (index, entry) in symbols.iter().enumerate().skip(self.told_symbols.get()) {
            let spec = &entry.spec;
            let symbol = Symbol {
                name: spec.name.clone(),
                tick_mantissa: spec.tick_mantissa,
                tick_decimals: spec.tick_decimals,
                lot_units: spec.lot_units,
                base_decimals: spec.base_decimals,
            };
            if trail.name_symbol(index as u32, symbol).is_err() {
                break;
            }
            self.told_symbols.set(index + 1);
        }
    }
}

fn kind_of(kind: AuditKind) -> Kind {
    match kind {
        AuditKind::Auth => Kind::Auth,
        AuditKind::Order => Kind::Order,
        AuditKind::Admin => Kind::Admin,
        AuditKind::Key => Kind::Key,
    }
}

fn write_page(page: &LogPage, out: &mut Vec<u8>) {
    let search = AuditSearch {
        is_truncated: page.truncated,
        stopped_at_ms: page.stopped_at_ms,
        broken_lines: page.broken_lines,
        is_complete: page.is_complete,
    };
    desk::write_records(&page.lines, search, out);
}

fn write_stats(stats: &Stats, out: &mut Vec<u8>) {
    use gateway::json::write;
    let optional = |out: &mut Vec<u8>, at_ms: Option<u64>| match at_ms {
        Some(at_ms) => write::integer(out, at_ms),
        None => out.extend_from_slice(b"null"),
    };
    out.extend_from_slice(b"{\"kinds\":");
    write::array(out, &stats.kinds, |out, one| {
        out.extend_from_slice(b"{\"type\":");
        write::string(out, one.kind.as_str());
        for (name, value) in [
            (",\"written\":", one.written),
            (",\"dropped\":", one.dropped),
            (",\"files\":", one.files),
            (",\"bytes\":", one.bytes),
            (",\"torn_files\":", one.torn_files),
        ] {
            out.extend_from_slice(name.as_bytes());
            write::integer(out, value);
        }
        out.extend_from_slice(b",\"oldest\":");
        optional(out, one.oldest_ms);
        out.extend_from_slice(b",\"last_write\":");
        optional(out, one.last_write_ms);
        out.push(b'}');
    });
    out.extend_from_slice(b",\"queued\":");
    write::integer(out, stats.queued);
    out.extend_from_slice(b",\"failing\":");
    match &stats.failing {
        Some(failing) => write::string(out, failing),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
}
