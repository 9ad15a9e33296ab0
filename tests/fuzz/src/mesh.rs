//! Messages of peers and inputs, as rkyv archives: what is no archive is refused, what is one comes
//! back the same.
//!
//! Whether a batch makes sense is not asked: peers are trusted, only their bytes are checked.

use engine::{Input, PeerBatch};

use crate::inputs;
use crate::rkyv_bytes::{Archived, check_round_trip, decode_any};
use crate::source::Source;

/// Most bytes that are changed in an archive that was whole.
const MAX_FLIPS: usize = 8;

/// Takes the bytes for an archive, and for choices of a message whose archive is then spoilt.
pub fn run(data: &[u8]) {
    let mut source = Source::new(data);
    match source.byte() % 4 {
        0 => {
            decode_any::<Input>(source.rest());
        }
        1 => {
            decode_any::<PeerBatch>(source.rest());
        }
        2 => spoil(inputs::input(&mut source), source),
        _ => spoil(inputs::batch(&mut source), source),
    }
}

/// Changes an archive a little at a time, decoding in between.
fn spoil<T: Archived>(value: T, mut source: Source<'_>) {
    let mut archive = check_round_trip(&value);
    for _ in 0..MAX_FLIPS {
        if source.is_empty() {
            break;
        }
        let at = source.place(archive.len());
        archive[at] ^= source.byte();
        decode_any::<T>(&archive);
    }
    archive.truncate(source.place(archive.len() + 1));
    decode_any::<T>(&archive);
}
