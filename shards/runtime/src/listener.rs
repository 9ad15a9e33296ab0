//! Sockets: one listener per shard on the same port, and connections that can be written from any
//! task of their shard.
//!
//! [`reserve`] binds all listeners in the starting thread, so a port in use is found before any
//! executor exists, and port 0 works: the first listener gets a port from the kernel, the others
//! take the same. Nothing is accepted before [`Reserved::listen`]: with `SO_REUSEPORT` the kernel
//! spreads new connections over the sockets that listen at that moment.
//!
//! A [`Connection`] splits in two without locks or duplicated descriptors: the [`Connection`]
//! itself, which reads, stays in the connection's task, and a [`Writer`], cheap to clone, may be
//! anywhere in the shard. [`Writer::try_write`] is one `send(2)` that never waits, the cheapest way
//! to answer: on a socket with room there is nothing for io_uring to wait for. Reading lends a
//! small buffer to the kernel (`IORING_OP_RECV`): one submission instead of a poll and a `recv`.
//!
//! A connection that speaks TLS is used in the same way: reading decrypts and writing encrypts, here
//! and at once. The one difference is that bytes which were taken may not have left yet:
//! [`Writer::try_flush`].

use crate::error::io_error;
use crate::tls::channel::Channel;
use crate::wake::Notify;
use futures_lite::io::AsyncBufRead;
use futures_rustls::rustls::ServerConnection;
use glommio::io::PollableFd;
use glommio::net::{Preallocated, TcpListener, TcpStream};
use nix::sys::socket::{MsgFlags, send, shutdown};
use socket2::{Domain, Protocol, Socket, Type};
use std::cell::{Cell, OnceCell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, RawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// How many connections may wait to be accepted, per shard. The kernel lowers it to
/// `net.core.somaxconn`.
const BACKLOG_CONNECTIONS: i32 = 4096;

/// Size of the buffer that a connection lends to the kernel, in bytes. It exists for every idle
/// connection, so it is small; a larger request takes several reads.
pub const RECEIVE_BUFFER_BYTES: usize = 4096;

/// After how many connections in a row the accepting task lets others run.
const ACCEPT_BURST_CONNECTIONS: usize = 32;

/// How long the start waits for a port that is taken.
const PORT_PATIENCE: Duration = Duration::from_secs(3);
/// How often it tries again.
const PORT_RETRY: Duration = Duration::from_millis(20);

/// How long accepting pauses after an error such as "too many open files".
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A socket bound to the server's port that does not listen yet. Goes to its shard's executor.
#[derive(Debug)]
pub struct Reserved {
    socket: Socket,
    address: SocketAddr,
}

/// Binds one socket per shard to the same address. With port 0 the kernel chooses one port for all.
pub fn reserve(address: SocketAddr, shards: usize) -> io::Result<Vec<Reserved>> {
    refuse_to_share(address)?;
    let mut address = address;
    let mut reserved = Vec::with_capacity(shards);
    for _ in 0..shards {
        let one = reserve_one(address)?;
        address = one.address;
        reserved.push(one);
    }
    Ok(reserved)
}

/// `SO_REUSEPORT` would let a second server on the same port take half of the first one's
/// connections; a socket without it finds the port taken.
fn refuse_to_share(address: SocketAddr) -> io::Result<()> {
    if address.port() == 0 {
        return Ok(());
    }
    let since = Instant::now();
    loop {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        match socket.bind(&address.into()) {
            // The sockets of a process that was killed live on until the kernel has taken its rings
            // apart, a moment after the process itself is gone.
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse && since.elapsed() < PORT_PATIENCE =>
            {
                std::thread::sleep(PORT_RETRY);
            }
            bound => return bound,
        }
    }
}

fn reserve_one(address: SocketAddr) -> io::Result<Reserved> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Against connections of the process before in TIME_WAIT; glommio's own bind does not set it.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    let bound = socket.local_addr()?.as_socket();
    let address = bound.ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))?;
    Ok(Reserved { socket, address })
}

impl Reserved {
    /// The address, with the port that the kernel chose.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens for connections, on the executor that runs this.
    pub fn listen(self) -> io::Result<Listener> {
        self.socket.listen(BACKLOG_CONNECTIONS)?;
        let descriptor = self.socket.into_raw_fd();
        // SAFETY: the descriptor is a listening socket that was ours alone until this line.
        #[allow(unsafe_code)]
        let listener = unsafe { TcpListener::from_raw_fd(descriptor) };
        let stop = Rc::new(Stop { stopped: Cell::new(false), notify: Notify::new() });
        Ok(Listener { listener, descriptor, address: self.address, stop })
    }
}

struct Stop {
    stopped: Cell<bool>,
    notify: Notify,
}

/// Ends the accepting of a [`Listener`], from any task of its shard.
#[derive(Clone)]
pub struct StopHandle {
    stop: Rc<Stop>,
}

impl StopHandle {
    /// Accepts no more: [`Listener::next`] returns `None` once nobody is left in the queue.
    pub fn stop(&self) {
        self.stop.stopped.set(true);
        self.stop.notify.notify();
    }
}

/// A shard's listening socket.
pub struct Listener {
    listener: TcpListener,
    descriptor: RawFd,
    address: SocketAddr,
    stop: Rc<Stop>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        // An accept still in the kernel keeps the socket listening after it is closed here, and
        // would swallow a connection.
        let _ = shutdown(self.descriptor, nix::sys::socket::Shutdown::Read);
    }
}

impl Listener {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The handle that ends it.
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle { stop: self.stop.clone() }
    }

    /// The next connection, with `TCP_NODELAY` set; `None` once stopped. An error concerns one
    /// connection or passes by itself; [`Listener::serve`] knows what to do with it.
    pub async fn next(&self) -> Option<io::Result<Connection>> {
        let accepted = poll_fn(|context| {
            // First who already waits: for the other end that connection exists.
            if let Poll::Ready(accepted) = self.listener.poll_shared_accept(context) {
                return Poll::Ready(Some(accepted));
            }
            if self.stop.stopped.get() {
                return Poll::Ready(None);
            }
            self.stop.notify.poll_notified(context).map(|()| None)
        });
        match accepted.await? {
            Ok(accepted) => Some(Connection::new(accepted.bind_to_executor())),
            Err(error) => Some(Err(io_error(error))),
        }
    }

    /// Accepts until stopped, then closes the socket. `on_connection` typically spawns a task.
    pub async fn serve(self, mut on_connection: impl FnMut(Connection)) {
        let mut burst = 0;
        while let Some(accepted) = self.next().await {
            match accepted {
                Ok(connection) => on_connection(connection),
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    // Most likely no descriptor is free; trying at once would only spin.
                    tracing::warn!(%error, "cannot accept a connection");
                    glommio::timer::sleep(ACCEPT_PAUSE).await;
                }
            }
            burst += 1;
            if burst == ACCEPT_BURST_CONNECTIONS {
                burst = 0;
                futures_lite::future::yield_now().await;
            }
        }
    }
}

struct Shared {
    descriptor: RawFd,
    /// Owns the descriptor. Borrowed only inside a poll of the reader.
    stream: RefCell<TcpStream<Preallocated>>,
    peer: SocketAddr,
    /// What encrypts, once the handshake is done. Borrowed only inside of one call.
    channel: OnceCell<Box<RefCell<Channel>>>,
}

/// The reading half of an accepted connection. The socket closes when it and every [`Writer`] of
/// it are gone.
///
/// A client that waits for its answer sends nothing, so read on after the answer has been written:
/// by then its next request has often arrived and the kernel reads at once. A read that is already
/// waiting when the request comes costs about 3 µs more (a third of a bare request).
pub struct Connection {
    shared: Rc<Shared>,
}

impl Connection {
    fn new(stream: TcpStream) -> io::Result<Connection> {
        stream.set_nodelay(true).map_err(io_error)?;
        let peer = stream.peer_addr().map_err(io_error)?;
        let descriptor = stream.as_raw_fd();
        let stream = stream.buffered_with(Preallocated::new(RECEIVE_BUFFER_BYTES));
        let channel = OnceCell::new();
        let shared = Shared { descriptor, stream: RefCell::new(stream), peer, channel };
        Ok(Connection { shared: Rc::new(shared) })
    }

    /// Connects to a server: for tests and drivers.
    pub async fn connect(address: SocketAddr) -> io::Result<Connection> {
        Connection::new(TcpStream::connect(address).await.map_err(io_error)?)
    }

    /// From now on it speaks TLS. A second call changes nothing.
    pub(crate) fn secure(&self, session: ServerConnection) {
        let channel = Channel::new(session, self.shared.descriptor);
        let _ = self.shared.channel.set(Box::new(RefCell::new(channel)));
    }

    /// The other end's address.
    pub fn peer(&self) -> SocketAddr {
        self.shared.peer
    }

    /// A writing half.
    pub fn writer(&self) -> Writer {
        Writer { shared: self.shared.clone() }
    }

    /// Waits for bytes and copies up to `buffer.len()` of them; 0 at the end of the stream.
    pub async fn read_into(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        poll_fn(|context| self.poll_read_into(context, buffer)).await
    }

    /// Waits for bytes and shows them in place, without a copy unless they were encrypted; none at
    /// the end of the stream. All of them count as read. `take` may write to the connection, but not
    /// read from it.
    pub async fn receive<R>(&mut self, take: impl FnOnce(&[u8]) -> R) -> io::Result<R> {
        if self.shared.channel.get().is_some() {
            let mut buffer = [0; RECEIVE_BUFFER_BYTES];
            let count = self.read_into(&mut buffer).await?;
            return Ok(take(&buffer[..count]));
        }
        let mut take = Some(take);
        poll_fn(|context| {
            let mut stream = self.shared.stream.borrow_mut();
            let (count, taken) = match Pin::new(&mut *stream).poll_fill_buf(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                // Ready only once, so there is something to take it.
                Poll::Ready(Ok(bytes)) => (bytes.len(), take.take().map(|take| take(bytes))),
            };
            Pin::new(&mut *stream).consume(count);
            taken.map_or(Poll::Pending, |taken| Poll::Ready(Ok(taken)))
        })
        .await
    }

    /// As [`Connection::read_into`], for futures written by hand that wait for several things.
    pub fn poll_read_into(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(channel) = self.shared.channel.get() {
            return self.poll_decrypted(channel, context, buffer);
        }
        let mut stream = self.shared.stream.borrow_mut();
        let bytes = match Pin::new(&mut *stream).poll_fill_buf(context) {
            Poll::Ready(Ok(bytes)) => bytes,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return Poll::Pending,
        };
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        Pin::new(&mut *stream).consume(count);
        Poll::Ready(Ok(count))
    }

    /// Ends: each turn takes bytes from the socket, and rustls bounds how many may mean nothing.
    fn poll_decrypted(
        &self,
        channel: &RefCell<Channel>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut channel = channel.borrow_mut();
        let mut stream = self.shared.stream.borrow_mut();
        loop {
            if let Some(count) = channel.take(buffer)? {
                return Poll::Ready(Ok(count));
            }
            let bytes = ready!(Pin::new(&mut *stream).poll_fill_buf(context))?;
            let count = channel.decrypt(bytes)?;
            Pin::new(&mut *stream).consume(count);
        }
    }
}

/// The writing half of a connection; any number of them, anywhere in the shard. Who writes keeps
/// the order: two tasks in the middle of a [`Writer::write_all`] would mix their bytes.
#[derive(Clone)]
pub struct Writer {
    shared: Rc<Shared>,
}

impl Writer {
    /// Writes what the socket takes now and returns how much, never waiting:
    /// [`io::ErrorKind::WouldBlock`] when it takes nothing.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(channel) = self.shared.channel.get() {
            return channel.borrow_mut().write(bytes);
        }
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        send(self.shared.descriptor, bytes, flags).map_err(io::Error::from)
    }

    /// Whether all that was taken has left, after another attempt: what is encrypted may wait for
    /// room in the socket. Without TLS it always has.
    pub fn try_flush(&self) -> io::Result<bool> {
        match self.shared.channel.get() {
            Some(channel) => channel.borrow_mut().flush(),
            None => Ok(true),
        }
    }

    /// Waits until all that was taken has left.
    pub async fn flush(&self) -> io::Result<()> {
        while !self.try_flush()? {
            self.writable().await?;
        }
        Ok(())
    }

    /// Waits until the socket takes something, or is broken.
    pub async fn writable(&self) -> io::Result<()> {
        let pollable = PollableFd::new(WriterDescriptor(self.shared.clone())).map_err(io_error)?;
        pollable.writable().await.map_err(io_error)
    }

    /// Writes everything, waiting as often as needed.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.try_write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                Err(error) => return Err(error),
            }
        }
        self.flush().await
    }

    /// Ends the connection for both sides: a pending read returns 0 or an error. With
    /// [`Shutdown::Write`] the other end may still be read to its end. What has not left before
    /// ([`Writer::flush`]) is lost.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if let Some(channel) = self.shared.channel.get()
            && how != Shutdown::Read
        {
            channel.borrow_mut().finish();
        }
        let how = match how {
            Shutdown::Read => nix::sys::socket::Shutdown::Read,
            Shutdown::Write => nix::sys::socket::Shutdown::Write,
            Shutdown::Both => nix::sys::socket::Shutdown::Both,
        };
        shutdown(self.shared.descriptor, how).map_err(io::Error::from)
    }

    /// The other end's address.
    pub fn peer(&self) -> SocketAddr {
        self.shared.peer
    }
}

/// Keeps the socket open while a wait for it is under way.
struct WriterDescriptor(Rc<Shared>);

impl AsRawFd for WriterDescriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.descriptor
    }
}

#[cfg(test)]
#[path = "listener_tests.rs"]
mod tests;
