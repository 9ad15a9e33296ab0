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
    /// After a fill nothing is given back: a buy pays its limit, whatever its seller receives.
    LostDust,
    /// Two parcels of one sender change places.
    ReorderedMesh,
    /// A batch of messages is lost.
    LostMessages,
    /// A shard starts from the disk of the start before.
    StaleDisk,
    /// A snapshot begins before its last record is durable.
    EarlySnapshot,
    /// A snapshot gets its name before its bytes are synced.
    UnsyncedSnapshot,
    /// A snapshot leaves out messages that their receivers have not confirmed.
    ForgetfulSnapshot,
    /// A new generation of shards counts before it is complete.
    EarlyLayout,
    /// A start does not sync the name of the layout that it found.
    UnsyncedLayout,
    /// Retention removes one segment too many.
    GreedyRetention,
    /// A change of roles, keys or sessions is answered before every shard has it.
    EarlyIdentity,
    /// A confirmation that comes again pays out again.
    DoublePayout,
    /// A snapshot leaves out the open sessions.
    ForgottenSessions,
}

impl Mutation {
    /// All of them, with their names on the command line.
    pub const ALL: [(&'static str, Mutation); 24] = [
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
        ("lost-dust", Mutation::LostDust),
        ("reordered-mesh", Mutation::ReorderedMesh),
        ("lost-messages", Mutation::LostMessages),
        ("stale-disk", Mutation::StaleDisk),
        ("early-snapshot", Mutation::EarlySnapshot),
        ("unsynced-snapshot", Mutation::UnsyncedSnapshot),
        ("forgetful-snapshot", Mutation::ForgetfulSnapshot),
        ("early-layout", Mutation::EarlyLayout),
        ("unsynced-layout", Mutation::UnsyncedLayout),
        ("greedy-retention", Mutation::GreedyRetention),
        ("early-identity", Mutation::EarlyIdentity),
        ("double-payout", Mutation::DoublePayout),
        ("forgotten-sessions", Mutation::ForgottenSessions),
    ];

    /// The bug of this name.
    pub fn named(name: &str) -> Option<Mutation> {
        Mutation::ALL.iter().find(|(known, _)| *known == name).map(|(_, mutation)| *mutation)
    }
}
