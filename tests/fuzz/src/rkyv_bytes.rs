//! rkyv archives, and what must hold for every one of them.

use std::fmt::Debug;

use engine::{Input, PeerBatch, Piece};
use rkyv::rancor::Failure;

/// A type that stands in an archive of its own.
pub trait Archived: PartialEq + Debug + Sized {
    /// The checked decoder.
    fn decode(bytes: &[u8]) -> Option<Self>;
    /// The encoder.
    fn encode(&self) -> Vec<u8>;
}

impl Archived for Input {
    fn decode(bytes: &[u8]) -> Option<Input> {
        journal::decode(bytes)
    }

    fn encode(&self) -> Vec<u8> {
        let bytes = rkyv::api::high::to_bytes::<Failure>(self).expect("an input has an archive");
        assert_eq!(journal::encoded_length(self), bytes.len());
        bytes.to_vec()
    }
}

impl Archived for PeerBatch {
    fn decode(bytes: &[u8]) -> Option<PeerBatch> {
        rkyv::api::low::from_bytes::<PeerBatch, Failure>(bytes).ok()
    }

    fn encode(&self) -> Vec<u8> {
        rkyv::api::high::to_bytes::<Failure>(self).expect("a batch has an archive").to_vec()
    }
}

impl Archived for Piece {
    fn decode(bytes: &[u8]) -> Option<Piece> {
        rkyv::api::low::from_bytes::<Piece, Failure>(bytes).ok()
    }

    fn encode(&self) -> Vec<u8> {
        rkyv::api::high::to_bytes::<Failure>(self).expect("a piece has an archive").to_vec()
    }
}

/// Decodes bytes that may be anything. What comes out must come back the same from an archive of its
/// own, and that archive must be the only one that the encoder makes of it.
///
/// The bytes themselves may differ from it: what stands in the unused part of an `Option`, or which
/// way round two texts lie, changes nothing.
pub fn decode_any<T: Archived>(bytes: &[u8]) -> Option<T> {
    let value = T::decode(bytes)?;
    check_round_trip(&value);
    Some(value)
}

/// Encodes a value and decodes it again. Returns the archive.
pub fn check_round_trip<T: Archived>(value: &T) -> Vec<u8> {
    let archive = value.encode();
    let again = T::decode(&archive).expect("the decoder takes what the encoder makes");
    assert_eq!(&again, value, "an archive was misread");
    assert_eq!(again.encode(), archive, "one value has two archives");
    archive
}
