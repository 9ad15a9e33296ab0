//! The beginning of a TLS connection, which the client has to get through in time.
//!
//! Each shard bounds how many are under way at once: they are connections that have shown nothing
//! yet, and each costs more memory than an open one.

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_lite::future::or;
use futures_lite::io::{AsyncRead, AsyncWrite};

use super::Tls;
use crate::listener::{Connection, Writer};

/// How long a client may take for its handshake.
const HANDSHAKE_TIME_LIMIT: Duration = Duration::from_secs(10);
/// Handshakes that a shard has under way at the most; further connections are closed.
const MAX_HANDSHAKES: usize = 2_048;

/// Why a connection came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error("{0} handshakes are under way, the most that a shard may have")]
    TooMany(usize),
    #[error("the handshake took longer than {} ms", .0.as_millis())]
    TimedOut(Duration),
    #[error(transparent)]
    Failed(#[from] io::Error),
}

/// The handshakes of one shard.
pub(crate) struct Handshakes {
    tls: Arc<Tls>,
    under_way: Cell<usize>,
    most: usize,
    time_limit: Duration,
}

impl Handshakes {
    pub fn new(tls: Arc<Tls>) -> Handshakes {
        Handshakes::bounded(tls, MAX_HANDSHAKES, HANDSHAKE_TIME_LIMIT)
    }

    pub(super) fn bounded(tls: Arc<Tls>, most: usize, time_limit: Duration) -> Handshakes {
        Handshakes { tls, under_way: Cell::new(0), most, time_limit }
    }

    /// Has a connection speak TLS from now on. One that does not come to it is closed.
    pub async fn secure(&self, connection: Connection) -> Result<Connection, HandshakeError> {
        let _place = self.place()?;
        let writer = connection.writer();
        let secured = or(self.shake_hands(connection), async {
            glommio::timer::sleep(self.time_limit).await;
            Err(HandshakeError::TimedOut(self.time_limit))
        });
        let secured = secured.await;
        if secured.is_err() {
            // A read that is still in the kernel would keep the socket open.
            let _ = writer.shutdown(Shutdown::Both);
        }
        secured
    }

    async fn shake_hands(&self, connection: Connection) -> Result<Connection, HandshakeError> {
        let stream = Stream { writer: connection.writer(), connection, waiting: None };
        let stream = self.tls.acceptor().accept(stream).await?;
        let (stream, session) = stream.into_inner();
        stream.connection.secure(session);
        Ok(stream.connection)
    }

    fn place(&self) -> Result<Place<'_>, HandshakeError> {
        if self.under_way.get() >= self.most {
            return Err(HandshakeError::TooMany(self.most));
        }
        self.under_way.set(self.under_way.get() + 1);
        Ok(Place(&self.under_way))
    }
}

struct Place<'a>(&'a Cell<usize>);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// A connection in the form that futures-rustls takes.
struct Stream {
    connection: Connection,
    writer: Writer,
    waiting: Option<Pin<Box<dyn Future<Output = io::Result<()>>>>>,
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.connection.poll_read_into(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                ready!(waiting.as_mut().poll(context))?;
                self.waiting = None;
            }
            match self.writer.try_write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let writer = self.writer.clone();
                    self.waiting = Some(Box::pin(async move { writer.writable().await }));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.writer.shutdown(Shutdown::Write))
    }
}
