//! How long a parcel takes through the mesh and back, when both executors sleep in between.
//!
//! `cargo run --release -p ringbook-runtime --example measure_mesh -- [SHARDS] [SPIN_µs]`
//! With more shards than cores they are not pinned; shard 0 plays with the last one, the others
//! are connected and idle.

use hdrhistogram::Histogram;
use runtime::cores::ShardPlacement;
use runtime::executor::ExecutorSettings;
use runtime::mesh::{MeshEvent, Seat, seats};
use runtime::wake::Notify;
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

const CAPACITY_PARCELS: usize = 1024;
const ROUND_TRIPS: u64 = 20_000;
const STREAMED_PARCELS: u64 = 2_000_000;

async fn play(seat: Seat<u64>) {
    let mesh = seat.connect().await;
    let last = mesh.shards() - 1;
    let answered = Rc::new(Notify::new());
    let closed = Rc::new(Notify::new());
    let streamed = Rc::new(Cell::new(0_u64));
    let handler = {
        let (mesh, answered, closed) = (mesh.clone(), answered.clone(), closed.clone());
        let streamed = streamed.clone();
        move |from, event| match event {
            MeshEvent::Parcel(u64::MAX) => streamed.set(streamed.get() + 1),
            MeshEvent::Parcel(number) if mesh.shard() == last => mesh.send(from, number).unwrap(),
            MeshEvent::Parcel(_) => answered.notify(),
            MeshEvent::Closed if from == 0 => closed.notify(),
            MeshEvent::Closed => {}
        }
    };
    mesh.receive(handler);
    if mesh.shard() != 0 {
        closed.notified().await;
        return;
    }
    let mut times_ns = Histogram::<u64>::new(3).unwrap();
    for pause in [None, Some(Duration::from_micros(300))] {
        times_ns.reset();
        let round_trips = if pause.is_some() { ROUND_TRIPS / 10 } else { ROUND_TRIPS };
        for number in 0..round_trips {
            let start = Instant::now();
            mesh.send(last, number).unwrap();
            answered.notified().await;
            times_ns.record(start.elapsed().as_nanos() as u64).unwrap();
            if let Some(pause) = pause {
                glommio::timer::sleep(pause).await;
            }
        }
        let at = |quantile| times_ns.value_at_quantile(quantile) as f64 / 1e3;
        println!(
            "{} shards, round trip{}: p50 {:.1} µs, p99 {:.1} µs, max {:.1} µs",
            mesh.shards(),
            if pause.is_some() { " after a pause" } else { "" },
            at(0.5),
            at(0.99),
            times_ns.max() as f64 / 1e3
        );
    }
    let start = Instant::now();
    for _ in 0..STREAMED_PARCELS {
        mesh.send(last, u64::MAX).unwrap();
        if mesh.depth(last) > CAPACITY_PARCELS / 2 {
            futures_lite::future::yield_now().await;
        }
    }
    mesh.send(last, 0).unwrap();
    answered.notified().await;
    let rate = STREAMED_PARCELS as f64 / start.elapsed().as_secs_f64();
    println!("{} shards, one way: {:.2} million parcels/s", mesh.shards(), rate / 1e6);
    mesh.close();
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().unwrap());
    let shards = arguments.next().unwrap_or(2) as usize;
    let spin_before_park = arguments.next().map(Duration::from_micros);
    let placement = ShardPlacement::decide(None, Some(shards)).unwrap();
    let settings = ExecutorSettings { spin_before_park, ..ExecutorSettings::default() };
    let start = |seat: Seat<u64>| {
        let shard = seat.shard();
        settings.start(&placement, shard, move || play(seat)).unwrap()
    };
    let handles: Vec<_> = seats(shards, CAPACITY_PARCELS).into_iter().map(start).collect();
    handles.into_iter().for_each(|handle| handle.join().unwrap());
}
