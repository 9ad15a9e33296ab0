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
    /// Requests turned away.
    turned_away = "requests turned away by a full gateway",
    /// Changes of roles, keys and sessions acknowledged.
    identities = "changes of roles, keys and sessions acknowledged",
    /// Ends of withdrawals acknowledged.
    withdrawals = "ends of withdrawals acknowledged",
    /// Orders acknowledged.
    accepted = "orders acknowledged",
    /// Trades.
    trades = "trades",
    /// Proofs answered.
    proofs = "proofs answered",
    /// Records in the journals at the end.
    records = "records in the journals at the end",
    /// Parcels delivered.
    parcels = "parcels delivered by the mesh",
    /// Parcels behind which later ones of other links came first.
    overtaken = "of them delayed past a later one of another link",
    /// Parcels that found their lane full.
    full_lanes = "parcels that found their lane full",
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
    /// Crashes while the first batch of a segment was written.
    crashes_in_switch = "of those, the first batch of a segment",
    /// Crashes while the shard count changed.
    crashes_in_resharding = "of both, while the shard count changed",
    /// Crashes while the new shards were written.
    crashes_in_dealing = "of those, while the new shards were written",
    /// Crashes while a snapshot was made.
    crashes_in_snapshot = "of both, while a snapshot was made",
    /// Crashes while old files were removed.
    crashes_in_retention = "of both, while old files were removed",
    /// Unsynced writes kept whole.
    writes_kept = "unsynced writes kept by a crash",
    /// Unsynced writes lost.
    writes_lost = "unsynced writes lost",
    /// Unsynced writes torn.
    writes_torn = "unsynced writes torn",
    /// Unsynced writes that a later one survived.
    writes_reordered = "of those lost or torn, with a later write of the file surviving",
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
    /// Snapshots made.
    snapshots = "snapshots made beside a running shard",
    /// Snapshots not made.
    snapshots_failed = "snapshots not made after an error",
    /// Recoveries from a snapshot.
    from_snapshot = "recoveries from a snapshot",
    /// Segments archived.
    archived = "files archived",
    /// Segments and snapshots removed.
    removed = "files removed",
    /// Segments made spares.
    spared = "segments made spares",
    /// Segments made of spares.
    recycled = "segments made out of spares",
    /// Changes of the shard count.
    reshardings = "changes of the shard count",
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
    /// Sectors that read as something else.
    rot_sectors = "sectors lost at rest",
    /// Flips refused.
    rot_refused = "of both refused, naming file and offset",
    /// Flips in the last batch.
    rot_cut = "of both cut as a torn tail and reported",
    /// In a snapshot with an older one behind it.
    rot_older = "of both, in a snapshot that an older one stood in for",
    /// Flips in dead space.
    rot_harmless = "of both harmless",
    /// Segments lost.
    lost_files = "files lost at rest: needed ones refused by name",
    /// Checks after a recovery.
    checks = "checks after a recovery",
    /// Audits at rest.
    audits = "audits at rest",
);
