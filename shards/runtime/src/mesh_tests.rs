//! The mesh between real executors.

use super::*;
use glommio::{LocalExecutorBuilder, Placement};
use std::time::{Duration, Instant};

const CAPACITY_PARCELS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(20);

type Log = Rc<RefCell<Vec<(usize, MeshEvent<u64>)>>>;

/// Runs one future per seat, each on an executor of its own.
fn on_executors<F, R>(seats: Vec<Seat<u64>>, run: impl Fn(Seat<u64>) -> F + Clone + Send + 'static)
where
    F: Future<Output = R> + 'static,
    R: Send + 'static,
{
    let start = |seat: Seat<u64>| {
        let run = run.clone();
        let builder = LocalExecutorBuilder::new(Placement::Unbound).io_memory(64 * 1024);
        builder.spawn(move || run(seat)).unwrap()
    };
    let handles: Vec<_> = seats.into_iter().map(start).collect();
    for handle in handles {
        handle.join().unwrap();
    }
}

async fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "nothing happened for {PATIENCE:?}");
        glommio::timer::sleep(Duration::from_millis(1)).await;
    }
}

fn listen(mesh: &Mesh<u64>) -> Log {
    let log = Log::default();
    let keep = log.clone();
    mesh.receive(move |from, event| keep.borrow_mut().push((from, event)));
    log
}

#[test]
fn everybody_gets_everything_in_order_far_beyond_the_capacity() {
    const PARCELS: u64 = 1_000;
    on_executors(seats(4, CAPACITY_PARCELS), |seat| async move {
        let mesh = seat.connect().await;
        let log = listen(&mesh);
        let peers: Vec<usize> = (0..mesh.shards()).filter(|to| *to != mesh.shard()).collect();
        // All at once, without ever giving a peer time: full channels in both directions.
        for number in 0..PARCELS {
            for to in &peers {
                mesh.send(*to, number).unwrap();
            }
        }
        until(|| peers.iter().all(|to| mesh.depth(*to) == 0)).await;
        // Peers that are done close behind their last parcel.
        let is_parcel = |(_, event): &&(usize, MeshEvent<u64>)| *event != MeshEvent::Closed;
        let parcels = || log.borrow().iter().filter(is_parcel).count();
        until(|| parcels() == peers.len() * PARCELS as usize).await;
        for peer in &peers {
            let log = log.borrow();
            let parcels = log.iter().filter(is_parcel);
            let got = parcels.filter(|(from, _)| from == peer).map(|(_, event)| event);
            assert!(got.eq((0..PARCELS).map(MeshEvent::Parcel).collect::<Vec<_>>().iter()));
        }
    });
}

#[test]
fn a_shard_that_never_starts_is_a_closed_peer() {
    let mut all = seats(3, CAPACITY_PARCELS);
    drop(all.remove(1));
    on_executors(all, |seat| async move {
        let mesh = seat.connect().await;
        let log = listen(&mesh);
        until(|| log.borrow().contains(&(1, MeshEvent::Closed))).await;
        assert!(matches!(mesh.send(1, 7), Err(SendError::Closed { to: 1, parcel: 7 })));
        let other = 2 - mesh.shard();
        mesh.send(other, 5).unwrap();
        until(|| log.borrow().contains(&(other, MeshEvent::Parcel(5)))).await;
    });
}

#[test]
fn a_shard_that_ends_is_seen_by_its_peer_even_when_the_channel_is_full() {
    on_executors(seats(2, CAPACITY_PARCELS), |seat| async move {
        let mesh = seat.connect().await;
        if mesh.shard() == 1 {
            return;
        }
        let log = listen(&mesh);
        for number in 0..10 * CAPACITY_PARCELS as u64 {
            if mesh.send(1, number).is_err() {
                break;
            }
        }
        until(|| log.borrow().contains(&(1, MeshEvent::Closed))).await;
        until(|| mesh.send(1, 0).is_err()).await;
    });
}

#[test]
fn closing_delivers_what_was_sent_before() {
    on_executors(seats(2, CAPACITY_PARCELS), |seat| async move {
        let mesh = seat.connect().await;
        let log = listen(&mesh);
        let other = 1 - mesh.shard();
        mesh.send(other, 42).unwrap();
        mesh.close();
        until(|| log.borrow().len() == 2).await;
        let expected = [(other, MeshEvent::Parcel(42)), (other, MeshEvent::Closed)];
        assert_eq!(*log.borrow(), expected);
    });
}

#[test]
fn oneself_is_no_peer() {
    on_executors(seats(1, CAPACITY_PARCELS), |seat| async move {
        let mesh = seat.connect().await;
        assert!(matches!(mesh.send(0, 1), Err(SendError::NoPeer { to: 0, parcel: 1 })));
        assert!(matches!(mesh.send(9, 1), Err(SendError::NoPeer { to: 9, parcel: 1 })));
        assert_eq!(mesh.depth(0), 0);
    });
}
