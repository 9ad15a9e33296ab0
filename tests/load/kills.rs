//! A campaign of `kill -9`: load, a kill at a random moment, a start that is sometimes killed too,
//! retries that are sometimes killed too, and an audit of everything. Then again, on the same data.

use std::time::{Duration, Instant};

use super::market::configuration;
use super::retry::Resolved;
use super::{Load, audit::audit, wait_until_quiet};
use crate::support::random::Random;
use crate::support::server::{Options, Server};

/// A data directory is left for a new one before a shard forgets its oldest orders, which it does
/// after 100,000 ended ones: with them it would forget what the audit asks for.
const MOST_ORDERS: u64 = 60_000;
/// Also while the load is slow.
const MOST_KILLS_OF_A_DIRECTORY: u64 = 40;
/// Segments are short and snapshots frequent, so that kills meet the making of them and what follows.
const USUAL_ARGUMENTS: [&str; 5] =
    ["--shard-ports", "--segment-mib", "2", "--snapshot-every-mib", "1"];
/// The chance in a hundred that a start takes another number of shards, where there are several.
const RESHARD_PERCENT: u64 = 15;
/// Kills between two lines of progress.
const PROGRESS_EVERY: u64 = 20;

/// How a campaign is done.
#[derive(Clone, Debug)]
pub struct Settings {
    pub kills: u64,
    pub seed: u64,
    /// How many shards: a directory begins with the first, and a start takes another now and then.
    pub shards: Vec<u16>,
    pub clients: u64,
    /// Further arguments of the server.
    pub arguments: Vec<String>,
    /// Whether it tells how far it is.
    pub tells_progress: bool,
}

/// What a campaign has done and found.
#[derive(Debug, Default)]
pub struct Totals {
    pub kills: u64,
    /// Of those, during the making of a new directory, a recovery, or the retries.
    pub early_kills: u64,
    pub directories: u64,
    /// Starts with another number of shards.
    pub reshardings: u64,
    pub snapshots: usize,
    /// Torn ends of journals that were cut.
    pub torn: usize,
    pub acknowledged: u64,
    pub orders: u64,
    /// Facts looked for, over all audits.
    pub checked: u64,
    pub resolved: Resolved,
    /// Restarts after a kill, from the start of the process until it is ready.
    pub restarts: Vec<Duration>,
}

impl Totals {
    fn restart_at(&self, percent: usize) -> Duration {
        let mut sorted = self.restarts.clone();
        sorted.sort_unstable();
        sorted
            .get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    }
}

impl std::fmt::Display for Totals {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Resolved { applied_before, by_retry, either, doubled } = self.resolved;
        write!(
            formatter,
            "{} kills ({} of them during a start or the retries) on {} data directories, {} changes \
             of the shard count, {} snapshots, {} torn ends; {} commands acknowledged ({} orders), \
             {} facts checked; 0 lost, {doubled} doubled; {} requests without an answer retried \
             ({applied_before} had been applied, {by_retry} had not, {either} either way); restart: \
             median {} ms, 95th percentile {} ms",
            self.kills,
            self.early_kills,
            self.directories,
            self.reshardings,
            self.snapshots,
            self.torn,
            self.acknowledged,
            self.orders,
            self.checked,
            self.resolved.total(),
            self.restart_at(50).as_millis(),
            self.restart_at(95).as_millis()
        )
    }
}

/// Runs a campaign; panics at the first finding.
pub fn run(settings: Settings) -> Totals {
    let mut campaign = Campaign {
        random: Random::new(settings.seed),
        settings,
        totals: Totals::default(),
        begin: Instant::now(),
    };
    while campaign.totals.kills < campaign.settings.kills {
        campaign.directory();
    }
    campaign.totals
}

struct Campaign {
    settings: Settings,
    random: Random,
    totals: Totals,
    begin: Instant,
}

impl Campaign {
    /// A new data directory, killed until it is old.
    fn directory(&mut self) {
        let (kills, clients) = (self.settings.kills, self.settings.clients);
        let usual = USUAL_ARGUMENTS.map(str::to_owned);
        let arguments = [&usual, &self.settings.arguments[..]].concat();
        let options = Options { shards: self.settings.shards[0], arguments };
        let mut server = Server::configured(options, &configuration(clients));
        self.totals.directories += 1;
        self.start(&mut server, 50);
        let mut load = Load::new(clients, &self.random.fork(self.totals.directories));
        // Whatever was killed over it: every user has what the configuration says, once.
        self.check(&mut server, &mut load);
        let last = self.totals.kills + MOST_KILLS_OF_A_DIRECTORY;
        while self.totals.kills < kills.min(last) && load.counts().orders < MOST_ORDERS {
            self.kill_under_load(&mut server, &mut load);
        }
        let counts = load.counts();
        self.totals.acknowledged += counts.acknowledged;
        self.totals.orders += counts.orders;
        self.read_log(&server.log());
    }

    /// Counts what only the log tells. A kill is no reason for an error.
    fn read_log(&mut self, log: &str) {
        let count = |text: &str| log.lines().filter(|line| line.contains(text)).count();
        self.totals.snapshots += count(" snapshot snapshot-");
        self.totals.torn += count("the journal's end was torn");
        let error = log.lines().find(|line| line.contains("ERROR") || line.contains("panicked"));
        assert_eq!(error, None, "the server met an error");
    }

    /// Starts the server; with this chance in a hundred it is killed over it, and again.
    fn start(&mut self, server: &mut Server, percent: u64) {
        let others = self.settings.shards.len() as u64;
        if others > 1 && self.random.chance(RESHARD_PERCENT) {
            let shards = self.settings.shards[self.random.below(others) as usize];
            self.totals.reshardings += u64::from(shards != server.shards());
            server.set_shards(shards);
        }
        while self.totals.kills < self.settings.kills && self.random.chance(percent) {
            server.spawn();
            let moment = Duration::from_micros(self.random.below(60_000));
            std::thread::sleep(moment);
            self.kill(server);
            self.totals.early_kills += 1;
        }
        let begin = Instant::now();
        server.spawn();
        server.wait_until_ready();
        self.totals.restarts.push(begin.elapsed());
    }

    fn kill(&mut self, server: &mut Server) {
        server.kill();
        self.totals.kills += 1;
        if self.settings.tells_progress && self.totals.kills.is_multiple_of(PROGRESS_EVERY) {
            println!(
                "{} kills after {} s, {} facts checked",
                self.totals.kills,
                self.begin.elapsed().as_secs(),
                self.totals.checked
            );
        }
    }

    fn kill_under_load(&mut self, server: &mut Server, load: &mut Load) {
        // Often soon after the start, when everything is new, sometimes with segments behind it.
        let most_ms = [20, 100, 300, 900][self.random.below(4) as usize];
        let moment = Duration::from_micros(1_000 + self.random.below(most_ms * 1_000));
        // A third of the clients at each shard's own port.
        let mut ports = vec![server.port; 2];
        ports.push(server.shard_port(self.random.below(u64::from(server.shards())) as u16));
        load.trade_during(&ports, || {
            std::thread::sleep(moment);
            self.kill(server);
        });
        load.disconnect();
        self.start(server, 25);
        self.check(server, load);
    }

    /// Resolves what is open, over further kills perhaps, and audits.
    fn check(&mut self, server: &mut Server, load: &mut Load) {
        wait_until_quiet(server.port);
        while load.unanswered() > 0 {
            let kills_it = self.totals.kills < self.settings.kills && self.random.chance(15);
            let moment = Duration::from_micros(self.random.below(10_000));
            let port = server.port;
            let resolved = load.resolve_during(port, || {
                if kills_it {
                    std::thread::sleep(moment);
                    self.kill(server);
                    self.totals.early_kills += 1;
                }
            });
            self.totals.resolved += resolved;
            if kills_it {
                load.disconnect();
                self.start(server, 0);
            }
            wait_until_quiet(server.port);
        }
        let findings = audit(server.port, &load.traders);
        self.totals.checked += findings.checked;
        findings.expect_none();
        assert_eq!(self.totals.resolved.doubled, 0, "doubled by a retry");
    }
}
