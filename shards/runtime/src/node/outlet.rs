//! Writing to a socket from anywhere in the shard: at once as far as the socket takes it, the rest
//! when it does. Nobody who has something to send ever waits.

use std::cell::Cell;
use std::io;
use std::net::Shutdown;
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
