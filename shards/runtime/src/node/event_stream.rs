//! The bytes of a stream of events (`text/event-stream`): nothing is read from it but its end.

use gateway::desk::{ErrorWord, stream};
use gateway::http::Upgraded;
use gateway::ws::limits::{CLOSE_TIME_LIMIT_MS, MARKET_DATA_HIGH_WATER_BYTES, MAX_OUTPUT_BYTES};
use gateway::ws::{SendError, Tick};

/// What a client may send that is thrown away at once, in bytes.
const SCRATCH_BYTES: usize = 64;
/// Capacity that is kept while nothing happens, in bytes.
const IDLE_BYTES: usize = 512;

/// The state of one stream.
pub(super) struct EventStream {
    output: Vec<u8>,
    sent: usize,
    scratch: [u8; SCRATCH_BYTES],
    /// Nothing more is added.
    is_closing: bool,
    is_at_end: bool,
    /// Something was added since the last look at the clock.
    was_busy: bool,
    quiet_since_ms: Option<u64>,
    /// Since when its last bytes are on their way.
    closing_since_ms: Option<u64>,
}

impl EventStream {
    /// Goes on behind the head of the answer.
    pub fn new(upgraded: Upgraded) -> EventStream {
        EventStream {
            output: upgraded.unsent,
            sent: 0,
            scratch: [0; SCRATCH_BYTES],
            is_closing: false,
            is_at_end: false,
            was_busy: true,
            quiet_since_ms: None,
            closing_since_ms: None,
        }
    }

    /// Appends whole events. Past the bound the stream ends with an event that says why.
    pub fn send_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), SendError> {
        if self.is_closing {
            return Err(SendError::Closed);
        }
        let before = self.output.len();
        write(&mut self.output);
        if self.output.len() - self.sent > MAX_OUTPUT_BYTES {
            self.output.truncate(before);
            self.close(&SendError::SlowConsumer.to_string());
            return Err(SendError::SlowConsumer);
        }
        self.was_busy = true;
        Ok(())
    }

    /// Says why, as the last event.
    pub fn close(&mut self, reason: &str) {
        if !self.is_closing {
            stream::error(ErrorWord::Unavailable, reason, &mut self.output);
            self.is_closing = true;
        }
    }

    /// Whether the client reads fast enough for market data.
    pub fn keeps_up(&self) -> bool {
        !self.is_closing && self.output.len() - self.sent < MARKET_DATA_HIGH_WATER_BYTES
    }

    pub fn output(&self) -> &[u8] {
        &self.output[self.sent..]
    }

    pub fn advance_output(&mut self, count: usize) {
        self.sent += count;
        // Moving no more than was sent keeps the cost of a byte constant.
        if self.sent * 2 >= self.output.len() {
            self.output.drain(..self.sent);
            self.sent = 0;
        }
    }

    pub fn spare(&mut self) -> &mut [u8] {
        &mut self.scratch
    }

    pub fn end_of_input(&mut self) {
        self.is_at_end = true;
    }

    pub fn is_finished(&self) -> bool {
        self.is_at_end || (self.is_closing && self.output().is_empty())
    }

    /// Keeps a quiet stream open, and ends one whose client does not take the last bytes. Called about
    /// once a second.
    pub fn tick(&mut self, now_ms: u64) -> Tick {
        if self.is_closing {
            let since_ms = *self.closing_since_ms.get_or_insert(now_ms);
            return match now_ms.saturating_sub(since_ms) {
                CLOSE_TIME_LIMIT_MS.. => Tick::Dead,
                _ => Tick::Nothing,
            };
        }
        if std::mem::take(&mut self.was_busy) {
            self.quiet_since_ms = Some(now_ms);
            return Tick::Nothing;
        }
        if self.output().is_empty() && self.output.capacity() > IDLE_BYTES {
            self.output = Vec::new();
            self.sent = 0;
        }
        let since_ms = *self.quiet_since_ms.get_or_insert(now_ms);
        if now_ms.saturating_sub(since_ms) < stream::KEEP_ALIVE_INTERVAL_MS - 1_000 {
            return Tick::Nothing;
        }
        self.quiet_since_ms = Some(now_ms);
        // Of a client that does not read, what is there already will tell.
        if !self.output().is_empty() {
            return Tick::Nothing;
        }
        stream::keep_alive(&mut self.output);
        Tick::Ping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_is_too_slow_is_told_in_the_last_event() {
        let mut stream = EventStream::new(Upgraded::default());
        let event = vec![b'x'; 100_000];
        let mut sent = 0;
        while stream.send_with(|out| out.extend_from_slice(&event)).is_ok() {
            sent += 1;
        }
        assert_eq!(sent, MAX_OUTPUT_BYTES / event.len());
        let text = String::from_utf8_lossy(stream.output()).into_owned();
        assert!(text.contains("event: error\n") && text.contains("slow consumer"), "no reason");
        assert!(!stream.is_finished());
        stream.advance_output(stream.output().len());
        assert!(stream.is_finished());
    }

    #[test]
    fn a_reader_that_does_not_take_the_end_is_dead() {
        let mut stream = EventStream::new(Upgraded::default());
        stream.close("over");
        let dead: Vec<u64> =
            (0..=8).filter(|second| stream.tick(second * 1_000) == Tick::Dead).collect();
        assert_eq!(dead, [5, 6, 7, 8]);
    }

    #[test]
    fn a_quiet_stream_is_kept_alive() {
        let mut stream = EventStream::new(Upgraded::default());
        let kept: Vec<u64> = (0..=30)
            .filter(|second| {
                let tick = stream.tick(second * 1_000);
                stream.advance_output(stream.output().len());
                tick == Tick::Ping
            })
            .collect();
        assert_eq!(kept, [9, 18, 27]);
    }
}
