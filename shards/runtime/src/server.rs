//! The start and the end of a node.
//!
//! Everything that can go wrong before a shard runs goes wrong in the starting thread. Then one
//! executor per shard: it joins the mesh, replays its journal, tells its peers what it has applied
//! and is told the same, and when all have come so far, listens.

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use audit::Trail;
use engine::{Command, Refusal, Reply};
use gateway::auth::{Auth, Secrets};
use gateway::middleware::Limits;
use gateway::native::{Ports, Serving};
use journal::JournalConfig;
use money::{SHARD_BITS, ShardId};
use shard::{Request, Shard};

use crate::clock::CoarseClock;
use crate::config::{AuthConfig, MAX_GATHER, NodeConfig, Ready, RunError};
use crate::cores::ShardPlacement;
use crate::descriptors;
use crate::disk::{DirectDisk, DirectDiskConfig};
use crate::drain::{Drain, block_signals};
use crate::executor::ExecutorSettings;
use crate::files::StaticFiles;
use crate::layout::Layout;
use crate::listener::{Listener, Reserved, StopHandle, reserve};
use crate::lock::DirectoryLock;
use crate::mesh::{Mesh, Seat, seats};
use crate::node::checkpoints::{CheckpointParts, Checkpoints};
use crate::node::client::{Client, Driver};
use crate::node::commit::{commit, prepare};
use crate::node::parcel::Parcel;
use crate::node::room::Room;
use crate::node::sessions::accept;
use crate::node::tick::tick;
use crate::node::{Node, NodeParts};
use crate::passwords::Passwords;
use crate::progress::Progress;
use crate::registry::Registry;
use crate::reshard::{change_shard_count, tell_recovery};
use crate::secrets;
use crate::snapshots::Service;
use crate::throttle::Throttle;
use crate::tls::handshake::Handshakes;
use crate::tls::{Tls, hang_up};
use crate::wake::Notify;

/// Parcels that one channel of the mesh holds.
const MESH_CAPACITY_PARCELS: usize = 1_024;
/// How long a draining node waits for what is under way.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);
/// How often a draining shard looks whether it is done.
const DRAIN_POLL: Duration = Duration::from_millis(5);
/// Marks a data directory whose bootstrap is complete.
const BOOTSTRAPPED_FILE: &str = "bootstrapped";

/// What one shard's executor is given.
struct Start {
    shard: u16,
    shards: u16,
    checkpoints: CheckpointParts,
    seat: Option<Seat<Parcel>>,
    directory: PathBuf,
    disk: DirectDiskConfig,
    journal: JournalConfig,
    hash_seed: u64,
    /// When the node starts, in ms since the epoch.
    epoch: u64,
    registry: Arc<Registry>,
    files: Arc<StaticFiles>,
    auth: AuthConfig,
    limits: Limits,
    throttle: Arc<Throttle>,
    passwords: Arc<Passwords>,
    trail: Option<Trail>,
    gather: Duration,
    ports: Ports,
    listeners: Vec<Reserved>,
    /// Only on shard 0.
    bootstrap: Option<(Vec<Command>, PathBuf)>,
    driver: Option<Driver>,
    shared: Shared,
    reports: Sender<Report>,
}

/// What all executors and the starting thread share.
#[derive(Clone)]
struct Shared {
    /// All shards are recovered.
    recovered: Drain,
    /// The bootstrap is done.
    open: Drain,
    /// The ports of all shards are open.
    listening: Drain,
    /// The node is to end.
    drain: Drain,
    /// Shards with nothing under way, while draining.
    quiet: Arc<AtomicUsize>,
    /// Shards without room on disk.
    short: Arc<AtomicUsize>,
    /// What every port speaks, if not plain text.
    tls: Option<Arc<Tls>>,
    replayed: Arc<AtomicU64>,
    /// The time of the newest record of all shards, in ms since the epoch, once they are recovered.
    newest_record_ms: Arc<AtomicU64>,
}

/// What an executor tells the starting thread.
enum Report {
    Recovered,
    Listening,
    Failed(String),
}

/// Runs a node until `SIGTERM` or `SIGINT`, or until the driver returns. Blocks.
pub fn run(
    mut config: NodeConfig,
    on_ready: Box<dyn FnOnce(&Ready) + Send>,
    driver: Option<Driver>,
) -> Result<(), RunError> {
    let system = |what| move |source| RunError::System { what, source };
    crate::node::start_uptime();
    block_signals().map_err(system("cannot block signals"))?;
    match descriptors::raise_limit() {
        Ok(most) if config.listen && most < config.connections.total as u64 => tracing::info!(
            "the system allows {most} open files: fewer connections than max_connections"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "cannot raise the limit of open files"),
    }
    let directory = config.data.clone();
    std::fs::create_dir_all(&directory)
        .map_err(|source| RunError::Directory { directory: directory.clone(), source })?;
    // glommio opens directories by their absolute paths only.
    let directory = directory
        .canonicalize()
        .map_err(|source| RunError::Directory { directory: directory.clone(), source })?;
    config.data = directory.clone();
    let _lock = DirectoryLock::acquire(&directory)?;
    let placement = ShardPlacement::decide(config.cores.clone(), config.shards.map(usize::from))?;
    let most = 1 << SHARD_BITS;
    if placement.shards() > most {
        return Err(RunError::Shards { asked: placement.shards(), most });
    }
    let shared = share(&config, driver.is_some())?;
    let is_tls = shared.tls.is_some();
    let (reports, told) = channel();
    let progress = Progress::start(shared.replayed.clone());
    let shards = placement.shards() as u16;
    check_places(&config, shards)?;
    let layout = prepare_layout(&config, shards, &shared)?;
    let trail = config.audit.clone().filter(|_| config.listen);
    let trail = trail.map(|trail| Trail::start(trail, shards)).transpose()?;
    let (starts, address) = starts(&config, layout, driver, &shared, &trail, reports)?;
    let settings = ExecutorSettings { spin_before_park: config.spin, ..Default::default() };
    let since = Instant::now();
    let mut executors = Vec::new();
    for start in starts {
        let shard = usize::from(start.shard);
        let executor = settings.start(&placement, shard, move || run_shard(start));
        executors.push(executor.map_err(|error| RunError::Recovery(error.to_string()))?);
    }
    let drain = &shared.drain;
    if !await_reports(&told, shards, drain, |report| matches!(report, Report::Recovered))? {
        return Ok(());
    }
    let recovery = since.elapsed();
    drop(progress);
    shared.recovered.give();
    if !await_reports(&told, shards, drain, |report| matches!(report, Report::Listening))? {
        return Ok(());
    }
    shared.listening.give();
    let recovered_records = shared.replayed.load(Ordering::Relaxed);
    on_ready(&Ready { address, is_tls, shards, recovered_records, recovery });
    for executor in executors {
        executor.join().map_err(|error| RunError::Recovery(error.to_string()))?;
    }
    if let Some(Err(error)) = trail.map(|trail| trail.close()) {
        tracing::error!(%error, "audit: what was done last may be missing");
    }
    Ok(())
}

/// Reads the certificate and begins to wait for signals.
fn share(config: &NodeConfig, is_driven: bool) -> Result<Shared, RunError> {
    let tls = config.tls.clone().map(Tls::load).transpose()?;
    let hung_up = tls.clone();
    // A demo or a replay ends with its terminal.
    let drain = match is_driven {
        true => Drain::on_signals(),
        false => Drain::on_signals_but_hang_up(move || hang_up(hung_up.as_deref())),
    };
    let system = |source| RunError::System { what: "cannot wait for signals", source };
    Ok(Shared {
        recovered: Drain::new(),
        open: Drain::new(),
        listening: Drain::new(),
        drain: drain.map_err(system)?,
        quiet: Arc::default(),
        short: Arc::default(),
        tls,
        replayed: Arc::default(),
        newest_record_ms: Arc::default(),
    })
}

/// Waits for every shard. `false` when the node is to end before it has begun: nothing has been
/// answered yet, so the process may simply go.
fn await_reports(
    told: &Receiver<Report>,
    shards: u16,
    drain: &Drain,
    expected: impl Fn(&Report) -> bool,
) -> Result<bool, RunError> {
    let mut missing = shards;
    while missing > 0 {
        match told.recv_timeout(DRAIN_POLL) {
            Ok(report) if expected(&report) => missing -= 1,
            Ok(Report::Failed(text)) => return Err(RunError::Recovery(text)),
            Err(RecvTimeoutError::Timeout) if !drain.is_given() => {}
            Err(RecvTimeoutError::Timeout) => return Ok(false),
            Ok(_) | Err(RecvTimeoutError::Disconnected) => {
                return Err(RunError::Recovery("a shard has ended".to_owned()));
            }
        }
    }
    Ok(true)
}

/// Makes what every executor needs, and the address that they listen on.
fn starts(
    config: &NodeConfig,
    layout: Layout,
    driver: Option<Driver>,
    shared: &Shared,
    trail: &Option<Trail>,
    reports: Sender<Report>,
) -> Result<(Vec<Start>, Option<SocketAddr>), RunError> {
    let shards = layout.shards;
    let (listeners, ports, address) = listeners(config, shards)?;
    let auth = secrets::complete(config)?;
    let passwords = Passwords::start(config.snapshots.cores.clone());
    let passwords = passwords.map_err(|source| RunError::System { what: "passwords", source })?;
    let throttle = Arc::new(Throttle::new());
    let disk = DirectDiskConfig {
        durability: config.durability,
        // The journal fills its segments itself.
        zero_fill: false,
        allow_memory: config.allow_memory,
    };
    let (hash_seed, epoch) = (random_seed(), CoarseClock::new().now_ms());
    let wanted = is_to_begin(config) && !config.bootstrap.is_empty();
    let mut bootstrap =
        wanted.then(|| (config.bootstrap.clone(), config.data.join(BOOTSTRAPPED_FILE)));
    let mut driver = driver;
    let seats = seats::<Parcel>(usize::from(shards), MESH_CAPACITY_PARCELS);
    let service = Service::start(config.snapshots.clone(), shards);
    let service = service.map_err(|source| RunError::System { what: "snapshots", source })?;
    let registry = Registry::new(config.connections, shards);
    let files = config.static_dir.as_deref().map(StaticFiles::read).transpose()?;
    let files = Arc::new(files.unwrap_or_default());
    let mut starts = Vec::new();
    for ((shard, seat), listeners) in (0..shards).zip(seats).zip(listeners) {
        let directory = layout.shard_directory(&config.data, shard);
        // Fails here, in the starting thread, where the message is plain.
        DirectDisk::open(&directory, disk)?;
        let mut journal = JournalConfig::new(ShardId(shard), shards);
        journal.segment_bytes = config.segment_bytes;
        journal.first_segment_bytes = journal.first_segment_bytes.min(config.segment_bytes);
        journal.check()?;
        starts.push(Start {
            shard,
            shards,
            checkpoints: CheckpointParts {
                service: service.clone(),
                directory: directory.clone(),
                archive: layout.shard_directory(Path::new(""), shard),
                journal: journal.clone(),
                every_bytes: config.snapshots.every_bytes,
            },
            seat: Some(seat),
            directory,
            disk,
            journal,
            hash_seed,
            epoch,
            registry: registry.clone(),
            files: files.clone(),
            auth: auth.clone(),
            limits: config.limits,
            throttle: throttle.clone(),
            passwords: passwords.clone(),
            trail: trail.clone(),
            gather: config.gather.min(MAX_GATHER),
            ports: ports.clone(),
            listeners,
            bootstrap: bootstrap.take(),
            driver: driver.take(),
            shared: shared.clone(),
            reports: reports.clone(),
        });
    }
    Ok((starts, address))
}

/// Whether the data directory has not got yet what a new one begins with.
fn is_to_begin(config: &NodeConfig) -> bool {
    !config.data.join(BOOTSTRAPPED_FILE).exists()
}

/// Refuses places for symbols on shards that are not there before anything is made. What a directory
/// began with long ago may name shards that have gone since.
fn check_places(config: &NodeConfig, shards: u16) -> Result<(), RunError> {
    let commands = config.bootstrap.iter().filter(|_| is_to_begin(config));
    for command in commands {
        if let Command::CreatePlacedSymbol(placed) = command
            && placed.shard.0 >= shards
        {
            let symbol = placed.symbol.spec.name.clone();
            return Err(RunError::Place { symbol, asked: placed.shard.0, shards });
        }
    }
    Ok(())
}

/// The layout to start with: that of the data directory, carried over to the number of shards that is
/// asked for.
fn prepare_layout(config: &NodeConfig, shards: u16, shared: &Shared) -> Result<Layout, RunError> {
    let data = config.data.as_path();
    let Some(layout) = Layout::read(data)? else {
        let layout = Layout::first(shards);
        layout.make_directories(data)?;
        layout.commit(data)?;
        return Ok(layout);
    };
    if layout.shards != shards {
        let now_ms = CoarseClock::new().now_ms();
        return change_shard_count(data, layout, shards, now_ms, &shared.replayed);
    }
    layout.clean(data)?;
    Ok(layout)
}

type Listening = (Vec<Vec<Reserved>>, Ports, Option<SocketAddr>);

fn listeners(config: &NodeConfig, shards: u16) -> Result<Listening, RunError> {
    let mut listeners: Vec<Vec<Reserved>> = (0..shards).map(|_| Vec::new()).collect();
    if !config.listen {
        return Ok((listeners, Ports::default(), None));
    }
    let address = SocketAddr::new(config.host, config.port);
    let failed = |address| move |source| RunError::Listen { address, source };
    let reserved = reserve(address, usize::from(shards)).map_err(failed(address))?;
    let address = reserved[0].address();
    let mut ports = Ports { shared: address.port(), per_shard: Vec::new() };
    for (own, one) in listeners.iter_mut().zip(reserved) {
        own.push(one);
    }
    if config.shard_ports {
        for (shard, own) in (0..shards).zip(listeners.iter_mut()) {
            let port = address.port().checked_add(1 + shard).unwrap_or(0);
            let alone = SocketAddr::new(config.host, port);
            let reserved = reserve(alone, 1).map_err(failed(alone))?;
            ports.per_shard.push(reserved[0].address().port());
            own.extend(reserved);
        }
    }
    Ok((listeners, ports, Some(address)))
}

/// Seeds the hash maps; reaches no output, so a weak one would do no harm to a replay.
pub(crate) fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

/// One shard's executor, from its start to its end.
async fn run_shard(mut start: Start) {
    let reports = start.reports.clone();
    let seat = start.seat.take().expect("a shard starts once");
    let mesh = seat.connect().await;
    if let Err(text) = try_run_shard(start, mesh.clone()).await {
        // Nobody listens any more once the starting thread has given up.
        let _ = reports.send(Report::Failed(text));
        // The mesh stays open: a peer that saw it close would end the process with that as the
        // reason, before the starting thread has told the first cause.
        std::future::pending::<()>().await;
    }
}

async fn try_run_shard(start: Start, mesh: Mesh<Parcel>) -> Result<(), String> {
    let Start { shard: here, shards, shared, reports, .. } = start;
    let disk = DirectDisk::open(&start.directory, start.disk).map_err(|error| error.to_string())?;
    let now_ms = CoarseClock::new().now_ms();
    let replayed = shared.replayed.clone();
    let progress = move |_| {
        replayed.fetch_add(1, Ordering::Relaxed);
    };
    let recovered = Shard::recover(disk, start.journal, start.hash_seed, now_ms, progress).await;
    let shard = recovered.map_err(|error| error.to_string())?;
    tell_recovery(here, shard.recovery());
    let checkpoints = Checkpoints::new(start.checkpoints, &shard);
    let (ports, epoch) = (start.ports, start.epoch);
    let auth = Auth {
        is_development: start.auth.is_development,
        admin_token: start.auth.admin_token,
        secrets: Secrets::new(&start.auth.secrets),
        metrics_from: start.auth.metrics_from,
        signatures_from_ms: Cell::new(epoch),
    };
    let (registry, files) = (start.registry, start.files);
    let room = Room::new(shared.short.clone());
    let node = Node::new(NodeParts {
        shard,
        mesh,
        auth,
        ports,
        checkpoints,
        room,
        epoch,
        registry,
        files,
        limits: start.limits,
        throttle: start.throttle,
        passwords: start.passwords,
        trail: start.trail,
        gather: start.gather,
    });
    handshake(&node, shards).await?;
    let newest_ms = node.shard.borrow().engine().now_ms();
    shared.newest_record_ms.fetch_max(newest_ms, Ordering::SeqCst);
    let _ = reports.send(Report::Recovered);
    shared.recovered.noticed().await;
    let newest_ms = shared.newest_record_ms.load(Ordering::SeqCst);

    glommio::spawn_local(node.clone().take_turns()).detach();
    glommio::spawn_local(commit(node.clone())).detach();
    glommio::spawn_local(tick(node.clone())).detach();
    prepare(&node);
    node.turn.notify();
    if here == 0 {
        if let Some((commands, marker)) = start.bootstrap {
            bootstrap(&node, commands, &marker).await?;
        }
        shared.open.give();
    }
    shared.open.noticed().await;
    node.await_signatures(newest_ms).await;
    let listeners = listen(start.listeners)?;
    let _ = reports.send(Report::Listening);
    // Who is told "ready" by one shard may go to the port of another at once.
    shared.listening.noticed().await;
    node.serving.set(Serving::Ready);
    let handshakes = shared.tls.clone().map(|tls| Rc::new(Handshakes::new(tls)));
    let stops = serve(&node, listeners, handshakes.as_ref());
    if let Some(driver) = start.driver {
        let (client, drain) = (Client::new(node.clone()), shared.drain.clone());
        glommio::spawn_local(async move {
            driver(client).await;
            drain.give();
        })
        .detach();
    }
    shared.drain.noticed().await;
    end(&node, &stops, &shared).await;
    Ok(())
}

/// Tells every peer what is applied here, and learns what they have applied.
async fn handshake(node: &Rc<Node>, shards: u16) -> Result<(), String> {
    let greeted = Rc::new((Notify::new(), std::cell::RefCell::new(Vec::new())));
    let heard = greeted.clone();
    node.listen_to_peers(move |from, applied| {
        heard.1.borrow_mut().push((from, applied));
        heard.0.notify();
    });
    node.greet_peers();
    while greeted.1.borrow().len() + 1 < usize::from(shards) {
        greeted.0.notified().await;
    }
    for &(peer, applied) in greeted.1.borrow().iter() {
        node.shard.borrow_mut().resume(peer, applied).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Applies the commands of a new data directory. Repeated from the start after a crash in between,
/// so what exists already is no error.
async fn bootstrap(node: &Rc<Node>, commands: Vec<Command>, marker: &Path) -> Result<(), String> {
    let client = Client::new(node.clone());
    for command in commands {
        match client.call(Request::Command(command.clone())).await {
            Reply::Refused(Refusal::AssetExists | Refusal::SymbolExists | Refusal::UserExists) => {}
            Reply::Refused(refusal) => return Err(format!("bootstrap: {command:?}: {refusal}")),
            _ => {}
        }
    }
    let made = std::fs::File::create(marker).and_then(|file| file.sync_all());
    made.map_err(|error| format!("cannot write {}: {error}", marker.display()))
}

/// Opens the ports; who connects waits until [`serve`].
fn listen(reserved: Vec<Reserved>) -> Result<Vec<Listener>, String> {
    let listen = |one: Reserved| one.listen().map_err(|error| format!("cannot listen: {error}"));
    reserved.into_iter().map(listen).collect()
}

/// Accepts connections until a stop.
fn serve(
    node: &Rc<Node>,
    listeners: Vec<Listener>,
    handshakes: Option<&Rc<Handshakes>>,
) -> Vec<StopHandle> {
    let serve = |listener: Listener| {
        let stop = listener.stop_handle();
        let (node, handshakes) = (node.clone(), handshakes.cloned());
        let accept = move |connection| {
            glommio::spawn_local(accept(node.clone(), handshakes.clone(), connection)).detach();
        };
        glommio::spawn_local(listener.serve(accept)).detach();
        stop
    };
    listeners.into_iter().map(serve).collect()
}

/// Drains: accepts no more, answers what is under way, and ends when every shard is done.
async fn end(node: &Rc<Node>, stops: &[StopHandle], shared: &Shared) {
    node.serving.set(Serving::Draining);
    stops.iter().for_each(StopHandle::stop);
    let sessions: Vec<_> =
        node.sessions.borrow().iter().map(|(_, session)| session.clone()).collect();
    for session in sessions {
        session.drain();
    }
    let sockets: Vec<_> = node.sockets.borrow().iter().map(|(_, socket)| socket.clone()).collect();
    for socket in sockets {
        socket.drain();
    }
    let since = Instant::now();
    while !node.is_quiet() && since.elapsed() < DRAIN_LIMIT {
        glommio::timer::sleep(DRAIN_POLL).await;
    }
    shared.quiet.fetch_add(1, Ordering::SeqCst);
    // A shard with nothing of its own under way still serves those that have.
    let shards = usize::from(node.placement.shards());
    while shared.quiet.load(Ordering::SeqCst) < shards && since.elapsed() < DRAIN_LIMIT {
        glommio::timer::sleep(DRAIN_POLL).await;
    }
    node.leave_mesh();
    // Everything applied must be durable; what peers have not taken is sent again after the start.
    while !node.shard.borrow().is_settled() && since.elapsed() < DRAIN_LIMIT {
        node.commit.notify();
        glommio::timer::sleep(DRAIN_POLL).await;
    }
    tracing::info!(shard = node.here.0, "drained");
}
