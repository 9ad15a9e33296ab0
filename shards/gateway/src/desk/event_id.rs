//! The place of an event in a stream, as `id:` and `last_id` spell it.

use crate::json::write;

/// Which event: `epoch-sequence`. The epoch changes when the server starts, so that a place in a
/// buffer that is gone is not taken for one in the buffer of now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    /// Which run of the server.
    pub epoch: u64,
    /// Which event of it.
    pub sequence: u64,
}

impl EventId {
    /// Reads exactly what [`EventId::write`] writes.
    pub fn parse(text: &str) -> Option<EventId> {
        let (epoch, sequence) = text.split_once('-')?;
        Some(EventId { epoch: number(epoch)?, sequence: number(sequence)? })
    }

    /// Appends it.
    pub fn write(self, out: &mut Vec<u8>) {
        write::integer(out, self.epoch);
        out.push(b'-');
        write::integer(out, self.sequence);
    }
}

/// Digits only, and none too many: two texts never mean one event.
fn number(text: &str) -> Option<u64> {
    let is_plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(id: EventId) -> String {
        let mut out = Vec::new();
        id.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_what_was_written_is_read() {
        assert_eq!(EventId::parse("0-0"), Some(EventId { epoch: 0, sequence: 0 }));
        assert_eq!(
            EventId::parse("1-18446744073709551615"),
            Some(EventId { epoch: 1, sequence: u64::MAX })
        );
        for bad in [
            "",
            "-",
            "1",
            "1-",
            "-1",
            "1-2-3",
            "01-2",
            "1-02",
            "+1-2",
            "1-+2",
            " 1-2",
            "1-2 ",
            "1.0-2",
            "a-1",
            "1-18446744073709551616",
            "1–2",
        ] {
            assert_eq!(EventId::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn an_id_comes_back_as_it_was(epoch: u64, sequence: u64) {
            let id = EventId { epoch, sequence };
            prop_assert_eq!(EventId::parse(&written(id)), Some(id));
        }

        #[test]
        fn two_texts_never_mean_one_event(text in "[0-9+-]{0,9}") {
            if let Some(id) = EventId::parse(&text) {
                prop_assert_eq!(written(id), text);
            }
        }
    }
}
