//! Connecting without waiting for it.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, socket};

/// The first address of a server.
pub fn resolve(authority: &str) -> Result<SocketAddr> {
    let mut addresses = std::net::ToSocketAddrs::to_socket_addrs(authority)
        .with_context(|| format!("url: cannot resolve {authority}"))?;
    match addresses.next() {
        Some(address) => Ok(address),
        None => bail!("url: {authority} has no address"),
    }
}

/// Begins to connect, from `source` if that is given; [`is_connected`] tells when it is done.
pub fn begin(address: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let descriptor = socket(family, SockType::Stream, flags, None)?;
    if let Some(source) = source {
        // Port 0: any that is free there.
        let from = SockaddrStorage::from(SocketAddr::new(source, 0));
        bind(descriptor.as_raw_fd(), &from)?;
    }
    match connect(descriptor.as_raw_fd(), &SockaddrStorage::from(address)) {
        Ok(()) | Err(Errno::EINPROGRESS) => {}
        Err(error) => return Err(error.into()),
    }
    let stream = TcpStream::from(descriptor);
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Whether it is connected by now.
pub fn is_connected(stream: &TcpStream) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        reached => reached.map(|_| true),
    }
}
