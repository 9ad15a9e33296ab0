//! What a run did, counted.

use std::fmt;

macro_rules! totals {
    ($($(#[$doc:meta])* $field:ident = $text:literal,)*) => {
        /// Counts over one seed or many.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Totals { $($(#[$doc])* pub $field: u64,)* }

        impl Totals {
            /// Adds another run's counts.
            pub fn add(&mut self, other: &Totals) {
                $(self.$field += other.$field;)*
            }
        }

        impl fmt::Display for Totals {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(writeln!(formatter, "{:>12}  {}", self.$field, $text)?;)*
                Ok(())
            }
        }
    };
}

totals!(
    /// Seeds.
    seeds = "seeds",
    /// Steps of the scheduler.
    steps = "steps of the scheduler",
    /// Disk operations.
    operations = "disk operations",
    /// Requests asked.
    requests = "requests asked",
    /// Requests answered.
    answers = "requests answered",
    /// Requests refused as busy.
    busy = "of them refused as busy",
    /// Answers lost with a connection.
    dropped = "answers lost with a connection",
    /// Answers lost with the process.
    lost = "answers lost with the process",
    /// Orders acknowledged.
    accepted = "orders acknowledged",
    /// Trades.
    trades = "trades",
    /// Proofs answered.
    proofs = "proofs answered",
    /// Records in the journals at the end.
    records = "records in the journals at the end",
    /// Batches cut by the mesh.
    cuts = "batches cut by the mesh",
    /// Batches sent again by the mesh.
    repeats = "batches delivered twice by the mesh",
    /// Kills of the process.
    kills = "kills of the process",
    /// Power cuts.
    power_cuts = "power cuts",
    /// Crashes before every shard was recovered.
    crashes_in_recovery = "of both, during recovery",
    /// Crashes while a segment was prepared.
    crashes_in_preparation = "of both, while a segment was made",
    /// Crashes while a batch was written.
    crashes_in_commit = "of both, while a batch was written",
    /// Unsynced writes kept whole.
    writes_kept = "unsynced writes kept by a crash",
    /// Unsynced writes lost.
    writes_lost = "unsynced writes lost",
    /// Unsynced writes torn.
    writes_torn = "unsynced writes torn",
    /// Names lost.
    names_lost = "unsynced changes of names lost",
    /// Recoveries of a shard.
    recoveries = "recoveries of a shard",
    /// Torn tails cut.
    torn_tails = "torn tails cut",
    /// Recoveries that removed an unfinished segment.
    unfinished = "unfinished segments removed",
    /// Records appended.
    appended = "records appended",
    /// Batches written.
    batches = "batches made durable",
    /// Turns that met a full journal.
    stalls = "turns that met a full journal queue",
    /// Segments entered.
    segments = "segments entered",
    /// Write errors.
    write_errors = "write errors",
    /// Sync errors.
    sync_errors = "sync errors",
    /// Read errors.
    read_errors = "read errors",
    /// Errors of creating, renaming, removing, listing, syncing a directory.
    name_errors = "errors of names and directories",
    /// Short writes.
    short_writes = "short writes",
    /// Full disks.
    no_space = "operations without space",
    /// Exits after an error.
    exits = "exits of the process after an error",
    /// Bits flipped.
    rot = "bits flipped at rest",
    /// Flips refused.
    rot_refused = "of them refused, naming file and offset",
    /// Flips in the last batch.
    rot_cut = "of them cut as a torn tail and reported",
    /// Flips in dead space.
    rot_harmless = "of them harmless",
    /// Checks after a recovery.
    checks = "checks after a recovery",
    /// Audits at rest.
    audits = "audits at rest",
);
