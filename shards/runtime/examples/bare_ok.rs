//! The floor that the exchange is compared with: a server on the same executors and sockets that
//! reads an HTTP request and answers a fixed 202, without a thought.
//!
//! `cargo run --release -p ringbook-runtime --example bare_ok -- PORT SHARDS CORES MODE [DIRECTORY]`
//!
//! | MODE | what it does |
//! | --- | --- |
//! | `ok` | the connection's task reads and answers at once |
//! | `ok-poll` | the same with glommio's plain `TcpStream`: readiness, then `recv` |
//! | `durable` | each request appends a 128-byte record and wakes its connection's task when its batch is durable; the task answers and reads on |
//! | `durable-push` | the same, but the committing task answers all connections of the batch, whose tasks are already waiting for the next request |
//!
//! In the durable modes one batch is on its way to DIRECTORY while the next one gathers.

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use journal::{BLOCK_BYTES, Disk, DiskBuffer, DiskFile};
use runtime::cores::{CoreList, ShardPlacement};
use runtime::disk::{DirectBuffer, DirectDisk, DirectDiskConfig, DirectFile, Durability};
use runtime::drain::{Drain, block_signals};
use runtime::executor::ExecutorSettings;
use runtime::listener::{Connection, Reserved, Writer, reserve};
use runtime::wake::Notify;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

const ANSWER: &[u8] = b"HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\n\
content-length: 154\r\n\r\n{\"order_id\":\"1234567890123\",\"status\":\"NEW\",\
\"symbol\":\"BTC_USDT\",\"side\":\"BUY\",\"price\":\"50000.00\",\"quantity\":\"0.001000\",\
\"time\":1767225600000,\"cid\":null}     ";

const ANSWER_BYTES: usize = ANSWER.len();
const RECORD_BYTES: usize = 128;
const BATCH_BYTES: usize = 1024 * 1024;
const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
const MAXIMUM_HEADERS: usize = 32;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Ok,
    OkPoll,
    Durable,
    DurablePush,
}

/// The length of the first request in the bytes, if it is complete.
fn request_length(bytes: &[u8]) -> Option<usize> {
    let mut headers = [httparse::EMPTY_HEADER; MAXIMUM_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = request.parse(bytes).unwrap() else { return None };
    let is_length = |header: &&httparse::Header| header.name.eq_ignore_ascii_case("content-length");
    let length =
        request.headers.iter().find(is_length).map_or(0, |header| {
            std::str::from_utf8(header.value).unwrap().parse::<usize>().unwrap()
        });
    (bytes.len() >= head + length).then_some(head + length)
}

/// Calls `each` for every complete request; `rest` keeps what is incomplete.
fn take_requests(rest: &mut Vec<u8>, bytes: &[u8], mut each: impl FnMut(&[u8])) {
    if !rest.is_empty() {
        rest.extend_from_slice(bytes);
        let all = std::mem::take(rest);
        return take_requests(rest, &all, each);
    }
    let mut bytes = bytes;
    while let Some(length) = request_length(bytes).filter(|_| !bytes.is_empty()) {
        each(&bytes[..length]);
        bytes = &bytes[length..];
    }
    rest.extend_from_slice(bytes);
}

async fn answer(mut connection: Connection) -> io::Result<()> {
    let writer = connection.writer();
    let mut rest = Vec::new();
    loop {
        let mut left = Ok(0);
        let received = connection.receive(|bytes| {
            take_requests(&mut rest, bytes, |_| left = writer.try_write(ANSWER));
            bytes.len()
        });
        if received.await? == 0 {
            return Ok(());
        }
        // A client that does not read its answers is of no use here.
        if !matches!(left?, 0 | ANSWER_BYTES) {
            return Err(io::ErrorKind::WriteZero.into());
        }
    }
}

async fn answer_by_poll(mut stream: glommio::net::TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut rest = Vec::new();
    let mut buffer = vec![0; BLOCK_BYTES];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        let mut requests = 0;
        take_requests(&mut rest, &buffer[..count], |_| requests += 1);
        for _ in 0..requests {
            stream.write_all(ANSWER).await?;
        }
    }
}

/// Who waits for a batch.
enum Waiter {
    Write(Writer),
    Wake(Rc<Notify>),
}

struct Committer {
    file: DirectFile,
    gathering: RefCell<DirectBuffer>,
    records: Cell<usize>,
    waiting: RefCell<Vec<Waiter>>,
    work: Notify,
    batches: Cell<u64>,
}

impl Committer {
    fn append(&self, request: &[u8], waiter: Waiter) {
        let at = self.records.get() * RECORD_BYTES;
        let length = request.len().min(RECORD_BYTES);
        let mut gathering = self.gathering.borrow_mut();
        gathering.bytes_mut()[at..at + length].copy_from_slice(&request[..length]);
        self.records.set(self.records.get() + 1);
        self.waiting.borrow_mut().push(waiter);
        self.work.notify();
    }

    /// Commits batch after batch and answers each.
    async fn run(&self, spare: DirectBuffer) {
        let (mut spare, mut waiting, mut offset) = (spare, Vec::new(), 0);
        loop {
            self.work.notified().await;
            while self.records.get() > 0 {
                std::mem::swap(&mut spare, &mut *self.gathering.borrow_mut());
                std::mem::swap(&mut waiting, &mut *self.waiting.borrow_mut());
                let length = (self.records.replace(0) * RECORD_BYTES).next_multiple_of(BLOCK_BYTES);
                if offset + length as u64 > SEGMENT_BYTES {
                    offset = 0;
                }
                let (back, written) = self.file.write_at(spare, length, offset).await;
                assert_eq!(written.unwrap(), length);
                self.file.sync().await.unwrap();
                spare = back;
                offset += length as u64;
                self.batches.set(self.batches.get() + 1);
                answer_all(&mut waiting);
            }
        }
    }
}

fn answer_all(waiting: &mut Vec<Waiter>) {
    for waiter in waiting.drain(..) {
        match waiter {
            Waiter::Write(writer) => {
                let _ = writer.try_write(ANSWER);
            }
            Waiter::Wake(notify) => notify.notify(),
        }
    }
}

async fn answer_durably(
    mut connection: Connection,
    committer: Rc<Committer>,
    by_task: bool,
) -> io::Result<()> {
    let writer = connection.writer();
    let durable = Rc::new(Notify::new());
    let mut rest = Vec::new();
    loop {
        let received = connection.receive(|bytes| {
            take_requests(&mut rest, bytes, |request| {
                let waiter = match by_task {
                    true => Waiter::Wake(durable.clone()),
                    false => Waiter::Write(writer.clone()),
                };
                committer.append(request, waiter);
            });
            bytes.len()
        });
        if received.await? == 0 {
            return Ok(());
        }
        if by_task {
            durable.notified().await;
            writer.write_all(ANSWER).await?;
        }
    }
}

async fn run(reserved: Reserved, mode: Mode, directory: Option<String>, drain: Drain) {
    let committer = match directory {
        Some(directory) => Some(committer(&directory).await),
        None => None,
    };
    if mode == Mode::OkPoll {
        let address = reserved.address();
        drop(reserved);
        let listener = glommio::net::TcpListener::bind(address).unwrap();
        let accept = async {
            loop {
                let stream = listener.accept().await.unwrap();
                glommio::spawn_local(answer_by_poll(stream)).detach();
            }
        };
        return futures_lite::future::or(accept, drain.noticed()).await;
    }
    let listener = reserved.listen().unwrap();
    let stop = listener.stop_handle();
    let ending = committer.clone();
    glommio::spawn_local(async move {
        drain.noticed().await;
        if let Some(committer) = ending {
            eprintln!("{} batches", committer.batches.get());
        }
        stop.stop();
    })
    .detach();
    listener
        .serve(|connection| {
            let committer = committer.clone();
            glommio::spawn_local(async move {
                let ended = match mode {
                    Mode::Ok | Mode::OkPoll => answer(connection).await,
                    _ => {
                        let by_task = mode == Mode::Durable;
                        answer_durably(connection, committer.unwrap(), by_task).await
                    }
                };
                drop(ended);
            })
            .detach();
        })
        .await;
}

async fn committer(directory: &str) -> Rc<Committer> {
    let durability = match std::env::var("BARE_SYNC") {
        Ok(_) => Durability::Sync,
        Err(_) => Durability::EachWrite,
    };
    let config = DirectDiskConfig { durability, allow_memory: true, ..Default::default() };
    let disk = DirectDisk::open(directory, config).unwrap();
    let name = format!("bare-{}.tmp", glommio::executor().id());
    let _ = disk.remove(&name).await;
    let file = disk.create(&name, SEGMENT_BYTES).await.unwrap();
    file.sync().await.unwrap();
    let committer = Rc::new(Committer {
        file,
        gathering: RefCell::new(disk.buffer(BATCH_BYTES)),
        records: Cell::new(0),
        waiting: RefCell::default(),
        work: Notify::new(),
        batches: Cell::new(0),
    });
    let (running, spare) = (committer.clone(), disk.buffer(BATCH_BYTES));
    glommio::spawn_local(async move { running.run(spare).await }).detach();
    committer
}

fn main() {
    block_signals().unwrap();
    let drain = Drain::on_signals().unwrap();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, shards, cores, mode, directory @ ..] = arguments.as_slice() else {
        panic!("bare_ok PORT SHARDS CORES MODE [DIRECTORY]; the modes are in the source");
    };
    let mode = match mode.as_str() {
        "ok" => Mode::Ok,
        "ok-poll" => Mode::OkPoll,
        "durable" => Mode::Durable,
        "durable-push" => Mode::DurablePush,
        other => panic!("mode {other}"),
    };
    let cores: CoreList = cores.parse().unwrap();
    let placement = ShardPlacement::decide(Some(cores), Some(shards.parse().unwrap())).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
    let start = |(shard, reserved): (usize, Reserved)| {
        let (directory, drain) = (directory.first().cloned(), drain.clone());
        let run = move || run(reserved, mode, directory, drain);
        ExecutorSettings::default().start(&placement, shard, run).unwrap()
    };
    let reserved = reserve(address, placement.shards()).unwrap();
    let executors: Vec<_> = reserved.into_iter().enumerate().map(start).collect();
    executors.into_iter().for_each(|executor| executor.join().unwrap());
}
