//! Writing to a socket from anywhere in the shard: at once as far as the socket takes it, the rest
//! when it does. Nobody who has something to send ever waits.

use std::cell::Cell;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use crate::listener::Writer;
use crate::wake::Notify;

/// How long a connection that ends waits for its client to take what is encrypted already.
const EMPTYING_LIMIT: Duration = Duration::from_secs(10);

/// The way out of one connection.
pub(crate) struct Outlet {
    writer: Writer,
    /// Bytes wait for the next flush.
    pub dirty: Cell<bool>,
    /// Market data waits for its turn.
    pub dirty_later: Cell<bool>,
    /// A task waits for the socket to take more.
    writing: Cell<bool>,
    closed: Cell<bool>,
    /// Wakes the reader.
    pub resume: Notify,
}

impl Outlet {
    pub fn new(writer: Writer) -> Outlet {
        Outlet {
            writer,
            dirty: Cell::new(false),
            dirty_later: Cell::new(false),
            writing: Cell::new(false),
            closed: Cell::new(false),
            resume: Notify::new(),
        }
    }

    /// The other end's address.
    pub fn peer(&self) -> SocketAddr {
        self.writer.peer()
    }

    /// Sends bytes, of which there are some. How many were taken; `None`: no more now.
    pub fn send(&self, bytes: &[u8]) -> io::Result<Option<usize>> {
        loop {
            match self.writer.try_write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => return Ok(Some(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether a client is slow enough that somebody waits for it.
    pub fn is_writing(&self) -> bool {
        self.writing.get()
    }

    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Ends the connection for both sides.
    pub fn close(&self) {
        if !self.closed.replace(true) {
            // An error here means that it is closed already.
            let _ = self.writer.shutdown(Shutdown::Both);
            self.resume.notify();
        }
    }

    /// Waits until all that was taken has left, though not for ever. Without TLS it has: the kernel
    /// has it.
    pub async fn emptied(&self) {
        if matches!(self.writer.try_flush(), Ok(false)) {
            let flushed = async {
                // An error means that nobody is there to take it.
                let _ = self.writer.flush().await;
            };
            futures_lite::future::or(flushed, glommio::timer::sleep(EMPTYING_LIMIT)).await;
        }
    }

    /// Sends what is ready. Whether all has left.
    fn write_all_of(&self, source: &impl Source) -> io::Result<bool> {
        Ok(source.write_now()? && self.writer.try_flush()?)
    }

    /// Says that nothing more comes. Whether that worked.
    pub fn finish(&self) -> bool {
        self.writer.shutdown(Shutdown::Write).is_ok()
    }
}

/// Whoever has bytes for a socket.
pub(crate) trait Source: 'static {
    fn outlet(&self) -> &Outlet;
    /// Sends what is ready with [`Outlet::send`]. Whether all was taken.
    fn write_now(&self) -> io::Result<bool>;
    /// All is sent, or the connection is closed.
    fn written(&self);
}

/// A [`Source`] of any kind, for the list of those that have something to send.
pub(crate) trait Flush {
    /// Sends what is ready, as far as the socket takes it.
    fn flush(self: Rc<Self>);
    /// The same, when its turn for market data has come.
    fn flush_later(self: Rc<Self>);
}

impl<S: Source> Flush for S {
    fn flush(self: Rc<Self>) {
        let outlet = self.outlet();
        outlet.dirty.set(false);
        if outlet.writing.get() || outlet.closed.get() {
            return;
        }
        match outlet.write_all_of(&*self) {
            Ok(true) => self.written(),
            Ok(false) => {
                outlet.writing.set(true);
                glommio::spawn_local(write_later(self.clone())).detach();
            }
            Err(_) => outlet.close(),
        }
    }

    fn flush_later(self: Rc<Self>) {
        self.outlet().dirty_later.set(false);
        self.flush();
    }
}

async fn write_later<S: Source>(source: Rc<S>) {
    let outlet = source.outlet();
    loop {
        if outlet.closed.get() || outlet.writer.writable().await.is_err() {
            outlet.close();
            break;
        }
        match outlet.write_all_of(&*source) {
            Ok(true) => break,
            Ok(false) => {}
            Err(_) => {
                outlet.close();
                break;
            }
        }
    }
    outlet.writing.set(false);
    source.written();
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io::{Read, Write};

    use glommio::LocalExecutor;

    use super::*;
    use crate::tls::tests::{Stand, accept, listener};

    /// Less than what may wait encrypted, so all of it is taken when nothing waits.
    const PIECE_BYTES: usize = 20_000;

    struct Pieces {
        outlet: Outlet,
        output: RefCell<Vec<u8>>,
        times_written: Cell<u32>,
    }

    impl Source for Pieces {
        fn outlet(&self) -> &Outlet {
            &self.outlet
        }

        fn write_now(&self) -> io::Result<bool> {
            let mut output = self.output.borrow_mut();
            while !output.is_empty() {
                match self.outlet.send(&output)? {
                    Some(count) => drop(output.drain(..count)),
                    None => return Ok(false),
                }
            }
            Ok(true)
        }

        fn written(&self) {
            self.times_written.set(self.times_written.get() + 1);
        }
    }

    #[test]
    fn what_is_encrypted_and_does_not_fit_is_not_written_and_leaves_by_itself() {
        let stand = Stand::new("tls-outlet");
        LocalExecutor::default().run(async {
            let (listener, handshakes) = (listener(), stand.handshakes());
            let mut client = stand.client(listener.address());
            let (read_on, may_read) = std::sync::mpsc::channel();
            let client = std::thread::spawn(move || {
                client.write_all(b"begin").unwrap();
                let pieces: usize = may_read.recv().unwrap();
                let mut received = vec![0; pieces * PIECE_BYTES];
                client.read_exact(&mut received).unwrap();
                let mut more = Vec::new();
                client.read_to_end(&mut more).unwrap();
                assert!(received.iter().all(|&byte| byte == 7) && more.is_empty());
            });
            let mut server = accept(&listener, &handshakes).await;
            server.receive(|bytes| assert_eq!(bytes, b"begin")).await.unwrap();
            let source = Rc::new(Pieces {
                outlet: Outlet::new(server.writer()),
                output: RefCell::default(),
                times_written: Cell::default(),
            });
            let mut pieces = 0;
            while !source.outlet.is_writing() {
                assert_eq!(source.times_written.get(), pieces);
                source.output.borrow_mut().resize(PIECE_BYTES, 7);
                source.clone().flush();
                pieces += 1;
            }
            assert!(source.output.borrow().is_empty(), "the last piece is encrypted already");
            read_on.send(pieces as usize).unwrap();
            source.outlet.emptied().await;
            assert!(source.outlet.writer.try_flush().unwrap());
            source.outlet.close();
            glommio::executor().spawn_blocking(move || client.join().unwrap()).await;
        });
    }
}
