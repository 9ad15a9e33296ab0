//! An open TLS connection without a socket of its own: what comes is decrypted when the reader asks
//! for it, what goes is encrypted and sent by whoever has something to send.
//!
//! It promises that bytes once taken leave in order and before any others, that only a bounded
//! number of them waits here, and that after an error nothing more is read or sent.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::os::fd::RawFd;

use futures_rustls::rustls::ServerConnection;
use nix::sys::socket::{MsgFlags, send, sendmsg};

/// Most plaintext whose records wait for the socket, in bytes: two records of the greatest length.
pub(crate) const UNSENT_BYTES: usize = 32 * 1024;

/// One connection behind its handshake.
pub(crate) struct Channel {
    connection: ServerConnection,
    descriptor: RawFd,
    is_broken: bool,
}

impl Channel {
    /// `descriptor` is the socket's, which stays open as long as this exists.
    pub fn new(mut connection: ServerConnection, descriptor: RawFd) -> Channel {
        connection.set_buffer_limit(Some(UNSENT_BYTES));
        Channel { connection, descriptor, is_broken: false }
    }

    /// Plaintext that is there: how much, 0 at the end of it. `None`: [`Channel::decrypt`] first.
    pub fn take(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.connection.reader().read(buffer) {
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes bytes of the socket, none at its end; how many.
    pub fn decrypt(&mut self, mut bytes: &[u8]) -> io::Result<usize> {
        if self.is_broken {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let count = self.connection.read_tls(&mut bytes)?;
        if let Err(error) = self.connection.process_new_packets() {
            // The other end is told why, as far as there is room for it.
            let _ = self.send();
            self.is_broken = true;
            return Err(io::Error::new(ErrorKind::InvalidData, error));
        }
        // An answer to a change of keys; the next bytes take it along if there is no room now.
        self.flush()?;
        Ok(count)
    }

    /// Encrypts as much as may wait, and sends as much as the socket takes. How much was taken:
    /// [`ErrorKind::WouldBlock`] while what was taken before has not left.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_broken {
            return Err(ErrorKind::BrokenPipe.into());
        }
        self.send()?;
        let count = self.connection.writer().write(bytes)?;
        self.flush()?;
        Ok(count)
    }

    /// Sends what was taken. Whether all of it has left.
    pub fn flush(&mut self) -> io::Result<bool> {
        match self.send() {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Says that no more comes, as far as there is room for it.
    pub fn finish(&mut self) {
        if !self.is_broken {
            self.connection.send_close_notify();
            let _ = self.send();
        }
    }

    fn send(&mut self) -> io::Result<()> {
        while !self.is_broken && self.connection.wants_write() {
            match self.connection.write_tls(&mut Socket(self.descriptor)) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.is_broken = error.kind() != ErrorKind::WouldBlock;
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

/// Sends without waiting, several records with one call.
struct Socket(RawFd);

const FLAGS: MsgFlags = MsgFlags::MSG_DONTWAIT.union(MsgFlags::MSG_NOSIGNAL);

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        send(self.0, bytes, FLAGS).map_err(io::Error::from)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            [one] => self.write(one),
            all => sendmsg::<()>(self.0, all, &[], FLAGS, None).map_err(io::Error::from),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
