//! The parts of a request's time inside the server.
//!
//! Each begins where the one before ends, so for a request that is alone, on the shard that owns what
//! it is about, they add up with the commit to what the server took. A request that is handed to
//! another shard has `gather`, commit, `release` and `hop` once for every shard that it comes by.

/// A part of a request's time. The commit, between [`Part::Gather`] and [`Part::Release`], has its own
/// histogram: [`ShardMetrics::committed`](crate::ShardMetrics::committed).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// From its bytes being there until it is parsed, judged and handed to a shard; for each request.
    Read,
    /// From a batch's oldest record being applied until the batch goes to the disk; for each batch.
    Gather,
    /// From a batch being durable until what waited for it is let go; for each such turn.
    Release,
    /// From the first thing in a parcel until the other shard takes it; for each parcel, at the taker.
    Hop,
    /// From an answer being let go until its bytes are the kernel's; for each connection and turn.
    Write,
}

impl Part {
    pub(crate) const ALL: [(Part, &'static str); 5] = [
        (Part::Read, "read"),
        (Part::Gather, "gather"),
        (Part::Release, "release"),
        (Part::Hop, "hop"),
        (Part::Write, "write"),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_found_at_its_own_place() {
        for (place, (part, _)) in Part::ALL.iter().enumerate() {
            assert_eq!(*part as usize, place);
        }
    }
}
