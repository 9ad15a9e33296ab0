//! Planted bugs, to see that the simulator finds them.
//!
//! Each is planted in the simulator's own disk, mesh or drive code, where the real one would have it:
//! the code of the other crates is never touched. `--mutation NAME` plants one.

/// A bug that can be planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// A sync returns one sync too early: what it should have made durable is only so after the next.
    ReleaseBeforeDurable,
    /// Queries are answered at once, past the gate.
    ReadBeforeDurable,
    /// After a restart a peer's greeting is ignored: nothing is sent again.
    SkippedResume,
    /// After a restart a peer's greeting is taken as one more than it says.
    OffByOneResume,
    /// Peers are never told what has been applied.
    SkippedConfirm,
    /// Peers are told what is applied before it is durable.
    EarlyConfirm,
    /// The directory is never synced.
    UnsyncedDirectory,
    /// A short write is taken for a whole one.
    IgnoredShortWrite,
    /// A sync that failed is taken for one that succeeded.
    IgnoredSyncError,
    /// A batch of messages arrives again under new numbers.
    DoubleSettle,
    /// The buyer of a trade pays for one tick more than its seller receives.
    LostUnits,
    /// Two parcels of one sender change places.
    ReorderedMesh,
    /// A batch of messages is lost.
    LostMessages,
    /// A shard starts from the disk of the start before.
    StaleDisk,
}

impl Mutation {
    /// All of them, with their names on the command line.
    pub const ALL: [(&'static str, Mutation); 14] = [
        ("release-before-durable", Mutation::ReleaseBeforeDurable),
        ("read-before-durable", Mutation::ReadBeforeDurable),
        ("skipped-resume", Mutation::SkippedResume),
        ("off-by-one-resume", Mutation::OffByOneResume),
        ("skipped-confirm", Mutation::SkippedConfirm),
        ("early-confirm", Mutation::EarlyConfirm),
        ("unsynced-directory", Mutation::UnsyncedDirectory),
        ("ignored-short-write", Mutation::IgnoredShortWrite),
        ("ignored-sync-error", Mutation::IgnoredSyncError),
        ("double-settle", Mutation::DoubleSettle),
        ("lost-units", Mutation::LostUnits),
        ("reordered-mesh", Mutation::ReorderedMesh),
        ("lost-messages", Mutation::LostMessages),
        ("stale-disk", Mutation::StaleDisk),
    ];

    /// The bug of this name.
    pub fn named(name: &str) -> Option<Mutation> {
        Mutation::ALL.iter().find(|(known, _)| *known == name).map(|(_, mutation)| *mutation)
    }
}
