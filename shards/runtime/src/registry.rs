//! Every open connection of all shards, to count, list and end from any core, and the bounds on them.
//!
//! The entries are in a `sharded-slab`, so a shard enters and leaves without waiting for others, and any
//! core looks an entry up by its number. What a slab cannot do, list its entries, a set of numbers per
//! shard does; it is locked for as long as it takes to add, remove or copy numbers.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gateway::native::{SessionKind, SessionReport};
use money::{ShardId, UserId};
use sharded_slab::Slab;

/// Bounds on connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Of all shards together.
    pub total: usize,
    /// Of one shard.
    pub per_shard: usize,
    /// Of one address. `None`: [`ConnectionLimits::PER_FOREIGN_ADDRESS`], and no bound for this machine
    /// itself.
    pub per_address: Option<usize>,
    /// Messages a second of one WebSocket, as many at once; 0: any number.
    pub messages_per_s: u32,
}

impl ConnectionLimits {
    /// What one address of another machine may have where nothing is configured.
    pub const PER_FOREIGN_ADDRESS: usize = 1_024;
}

impl Default for ConnectionLimits {
    fn default() -> ConnectionLimits {
        ConnectionLimits { total: 65_536, per_shard: 32_768, per_address: None, messages_per_s: 0 }
    }
}

/// Why a connection is refused. Begins with the name of the bound, as the configuration spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LimitReached {
    #[error("max_connections: the server has {0} connections, the most it may have")]
    Total(usize),
    #[error("max_connections_per_shard: this shard has {0} connections, the most it may have")]
    Shard(usize),
    #[error("max_connections_per_address: your address has {0} connections, the most it may have")]
    Address(usize),
}

/// Names a connection among all that are open.
pub(crate) type SessionId = usize;

/// What is known of a connection.
struct Entry {
    shard: ShardId,
    address: IpAddr,
    opened_ms: u64,
    kind: AtomicU8,
    /// Its number plus one; 0: nobody is known.
    user: AtomicU64,
    /// Where its shard keeps it.
    place: AtomicUsize,
}

/// All connections.
pub(crate) struct Registry {
    limits: ConnectionLimits,
    entries: Slab<Entry>,
    total: AtomicUsize,
    by_shard: Vec<Mutex<BTreeSet<SessionId>>>,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection that was admitted. Dropping it makes room for another.
pub(crate) struct Ticket {
    registry: Arc<Registry>,
    id: SessionId,
    shard: ShardId,
    address: IpAddr,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here panics half way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    pub fn new(limits: ConnectionLimits, shards: u16) -> Arc<Registry> {
        Arc::new(Registry {
            limits,
            entries: Slab::new(),
            total: AtomicUsize::new(0),
            by_shard: (0..shards).map(|_| Mutex::default()).collect(),
            by_address: Mutex::default(),
        })
    }

    pub fn limits(&self) -> &ConnectionLimits {
        &self.limits
    }

    /// Takes a connection in, unless a bound is reached.
    pub fn admit(
        self: &Arc<Self>,
        shard: ShardId,
        address: IpAddr,
        now_ms: u64,
    ) -> Result<Ticket, LimitReached> {
        let ConnectionLimits { total, per_shard, per_address, .. } = self.limits;
        if lock(&self.by_shard[usize::from(shard.0)]).len() >= per_shard {
            return Err(LimitReached::Shard(per_shard));
        }
        // Counted before it is compared: two shards cannot both take the last place.
        if self.total.fetch_add(1, Ordering::Relaxed) >= total {
            self.total.fetch_sub(1, Ordering::Relaxed);
            return Err(LimitReached::Total(total));
        }
        if let Err(reached) = self.count_address(address, per_address) {
            self.total.fetch_sub(1, Ordering::Relaxed);
            return Err(reached);
        }
        let entry = Entry {
            shard,
            address,
            opened_ms: now_ms,
            kind: AtomicU8::new(SessionKind::Http as u8),
            user: AtomicU64::new(0),
            place: AtomicUsize::new(usize::MAX),
        };
        let Some(id) = self.entries.insert(entry) else {
            self.total.fetch_sub(1, Ordering::Relaxed);
            self.uncount_address(address);
            return Err(LimitReached::Total(total));
        };
        lock(&self.by_shard[usize::from(shard.0)]).insert(id);
        Ok(Ticket { registry: self.clone(), id, shard, address })
    }

    fn count_address(&self, address: IpAddr, most: Option<usize>) -> Result<(), LimitReached> {
        let foreign = (!address.is_loopback()).then_some(ConnectionLimits::PER_FOREIGN_ADDRESS);
        let most = most.or(foreign).unwrap_or(usize::MAX);
        let mut by_address = lock(&self.by_address);
        let count = by_address.entry(address).or_insert(0);
        if *count >= most {
            return Err(LimitReached::Address(most));
        }
        *count += 1;
        Ok(())
    }

    fn uncount_address(&self, address: IpAddr) {
        let mut by_address = lock(&self.by_address);
        if let Some(count) = by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&address);
            }
        }
    }

    /// What a connection is now.
    pub fn report(&self, id: SessionId) -> Option<SessionReport> {
        let entry = self.entries.get(id)?;
        let user = entry.user.load(Ordering::Relaxed);
        Some(SessionReport {
            id: id as u64,
            shard: entry.shard,
            kind: SessionKind::ALL[usize::from(entry.kind.load(Ordering::Relaxed))],
            user: user.checked_sub(1).map(UserId),
            address: entry.address,
            opened_ms: entry.opened_ms,
        })
    }

    /// All connections, shard by shard.
    pub fn reports(&self) -> impl Iterator<Item = SessionReport> {
        self.by_shard.iter().flat_map(|shard| {
            let ids: Vec<SessionId> = lock(shard).iter().copied().collect();
            ids.into_iter().filter_map(|id| self.report(id))
        })
    }

    /// Which shard has it, and what and where it is there.
    pub fn place(&self, id: SessionId) -> Option<(ShardId, SessionKind, usize)> {
        let entry = self.entries.get(id)?;
        let kind = SessionKind::ALL[usize::from(entry.kind.load(Ordering::Relaxed))];
        Some((entry.shard, kind, entry.place.load(Ordering::Relaxed)))
    }
}

impl Ticket {
    #[cfg(test)]
    fn id(&self) -> SessionId {
        self.id
    }

    /// What the connection is, and where its shard keeps it.
    pub fn set_place(&self, kind: SessionKind, place: usize) {
        if let Some(entry) = self.registry.entries.get(self.id) {
            entry.kind.store(kind as u8, Ordering::Relaxed);
            entry.place.store(place, Ordering::Relaxed);
        }
    }

    /// Who it is.
    pub fn set_user(&self, user: UserId) {
        if let Some(entry) = self.registry.entries.get(self.id) {
            // Ids are far below the end of the type.
            entry.user.store(user.0.saturating_add(1), Ordering::Relaxed);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        lock(&self.registry.by_shard[usize::from(self.shard.0)]).remove(&self.id);
        self.registry.entries.remove(self.id);
        self.registry.uncount_address(self.address);
        self.registry.total.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7));

    fn registry(total: usize, per_shard: usize, per_address: Option<usize>) -> Arc<Registry> {
        let messages_per_s = 0;
        Registry::new(ConnectionLimits { total, per_shard, per_address, messages_per_s }, 2)
    }

    fn admit(registry: &Arc<Registry>, shard: u16) -> Result<Ticket, LimitReached> {
        registry.admit(ShardId(shard), HERE, 5)
    }

    #[test]
    fn each_bound_is_told_by_its_name_and_room_is_given_back() {
        let all = registry(2, 9, None);
        let kept = (admit(&all, 0).unwrap(), admit(&all, 1).unwrap());
        assert_eq!(admit(&all, 1).err(), Some(LimitReached::Total(2)));
        drop(kept);
        assert!(admit(&all, 1).is_ok());

        let shard = registry(9, 1, None);
        let kept = admit(&shard, 0).unwrap();
        assert_eq!(admit(&shard, 0).err(), Some(LimitReached::Shard(1)));
        assert!(admit(&shard, 1).is_ok());
        drop(kept);
        assert!(admit(&shard, 0).is_ok());

        let address = registry(9, 9, Some(1));
        let kept = admit(&address, 0).unwrap();
        assert_eq!(admit(&address, 1).err(), Some(LimitReached::Address(1)));
        assert!(address.admit(ShardId(0), ELSEWHERE, 5).is_ok());
        drop(kept);
        assert!(admit(&address, 1).is_ok());
        assert!(address.by_address.lock().unwrap().is_empty());
        assert_eq!(address.total.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn another_machine_is_bounded_and_this_one_is_not() {
        let registry = registry(9_999, 9_999, None);
        let most = ConnectionLimits::PER_FOREIGN_ADDRESS;
        let foreign: Vec<_> =
            (0..most).map(|_| registry.admit(ShardId(0), ELSEWHERE, 0).unwrap()).collect();
        let refused = registry.admit(ShardId(0), ELSEWHERE, 0).err();
        assert_eq!(refused, Some(LimitReached::Address(most)));
        let own: Vec<_> = (0..=most).map(|_| admit(&registry, 1)).collect();
        assert!(own.iter().all(Result::is_ok));
        assert_eq!(registry.reports().count(), foreign.len() + own.len());
    }

    #[test]
    fn what_a_connection_is_can_be_seen_from_anywhere() {
        let registry = registry(9, 9, None);
        let ticket = admit(&registry, 1).unwrap();
        ticket.set_place(SessionKind::Native, 42);
        ticket.set_user(UserId(1001));
        let seen = {
            let (registry, id) = (registry.clone(), ticket.id());
            std::thread::spawn(move || (registry.report(id), registry.place(id))).join().unwrap()
        };
        let report = seen.0.expect("open");
        assert_eq!((report.kind, report.user), (SessionKind::Native, Some(UserId(1001))));
        assert_eq!(seen.1, Some((ShardId(1), SessionKind::Native, 42)));
        let id = ticket.id();
        drop(ticket);
        assert!(registry.report(id).is_none());
        assert_eq!(registry.reports().count(), 0);
    }
}
