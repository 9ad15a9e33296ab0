//! Files of every kind, and connections on the loopback interface in a real executor.

use super::handshake::{HandshakeError, Handshakes};
use super::*;
use crate::listener::{Connection, Listener, reserve};
use crate::test_directory::TestDirectory;
use futures_lite::future::poll_once;
use futures_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use glommio::LocalExecutor;
use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

pub(crate) type Client = StreamOwned<ClientConnection, TcpStream>;

/// A certificate, and who trusts it.
pub(crate) struct Stand {
    directory: TestDirectory,
    tls: Arc<Tls>,
    trusted: RootCertStore,
}

impl Stand {
    pub fn new(name: &str) -> Stand {
        let directory = TestDirectory::new(name);
        let certificate = write_certificate(&directory, "certificate.pem", "key.pem");
        let tls = Tls::load(files(&directory, "certificate.pem", "key.pem")).unwrap();
        let mut trusted = RootCertStore::empty();
        trusted.add(certificate).unwrap();
        Stand { directory, tls, trusted }
    }

    pub fn handshakes(&self) -> Handshakes {
        Handshakes::bounded(self.tls.clone(), 1, LIMIT)
    }

    /// A blocking client, for a thread of its own.
    pub fn client(&self, address: SocketAddr) -> Client {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.trusted.clone())
            .with_no_client_auth();
        let name = "localhost".try_into().unwrap();
        let session = ClientConnection::new(Arc::new(config), name).unwrap();
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        StreamOwned::new(session, socket)
    }
}

fn files(directory: &TestDirectory, certificate: &str, key: &str) -> TlsFiles {
    let in_directory = |name| directory.path().join(name);
    TlsFiles {
        certificate: in_directory(certificate),
        key: in_directory(key),
        min_version: TlsVersion::Tls12,
    }
}

fn write_certificate(
    directory: &TestDirectory,
    certificate: &str,
    key: &str,
) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(directory.path().join(certificate), made.cert.pem()).unwrap();
    std::fs::write(directory.path().join(key), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

pub(crate) fn listener() -> Listener {
    reserve(([127, 0, 0, 1], 0).into(), 1).unwrap().remove(0).listen().unwrap()
}

pub(crate) async fn accept(listener: &Listener, handshakes: &Handshakes) -> Connection {
    handshakes.secure(listener.next().await.unwrap().unwrap()).await.unwrap()
}

async fn read(connection: &mut Connection, expected: &[u8]) {
    let mut received = Vec::new();
    let mut buffer = [0; 100];
    while received.len() < expected.len() {
        let count = connection.read_into(&mut buffer).await.unwrap();
        assert_ne!(count, 0, "the end after {} bytes", received.len());
        received.extend_from_slice(&buffer[..count]);
    }
    assert!(received == expected);
}

#[test]
fn files_that_cannot_be_used_are_named_with_their_keys() {
    let stand = Stand::new("tls-files");
    let directory = &stand.directory;
    write_certificate(directory, "other.pem", "other-key.pem");
    std::fs::write(directory.path().join("empty.pem"), "").unwrap();
    std::fs::write(directory.path().join("long.pem"), vec![b'-'; 2 << 20]).unwrap();
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(directory.path().join("broken.pem"), broken).unwrap();
    for (certificate, key, words) in [
        ("none.pem", "key.pem", ["tls.certificate: cannot read", "none.pem"]),
        (".", "key.pem", ["tls.certificate: cannot read", "no regular file"]),
        ("long.pem", "key.pem", ["tls.certificate: cannot read", "longer"]),
        ("empty.pem", "key.pem", ["tls.certificate: ", "empty.pem is no PEM file"]),
        ("key.pem", "key.pem", ["tls.certificate: ", "key.pem is no PEM file"]),
        ("broken.pem", "key.pem", ["tls.certificate: ", "broken.pem cannot be used"]),
        ("certificate.pem", "none.pem", ["tls.key: cannot read", "none.pem"]),
        ("certificate.pem", "certificate.pem", ["tls.key: ", "a private key"]),
        ("certificate.pem", "other-key.pem", ["tls.certificate: ", "other-key.pem"]),
    ] {
        let error = Tls::load(files(directory, certificate, key)).unwrap_err().to_string();
        assert!(error.starts_with(words[0]) && error.contains(words[1]), "{words:?}: {error}");
    }
}

#[test]
fn a_reload_takes_good_files_and_leaves_what_there_is_for_bad_ones() {
    let stand = Stand::new("tls-reload");
    let current = || stand.tls.current.lock().unwrap().clone();
    let before = current();
    std::fs::write(stand.directory.path().join("key.pem"), "half a fi").unwrap();
    assert!(stand.tls.reload().is_err());
    assert!(Arc::ptr_eq(&before, &current()));
    write_certificate(&stand.directory, "certificate.pem", "key.pem");
    stand.tls.reload().unwrap();
    assert!(!Arc::ptr_eq(&before, &current()));
}

#[test]
fn what_the_socket_does_not_take_waits_and_leaves_before_all_else() {
    let stand = Stand::new("tls-unsent");
    LocalExecutor::default().run(async {
        let (listener, handshakes) = (listener(), stand.handshakes());
        let mut client = stand.client(listener.address());
        let (read_on, may_read) = std::sync::mpsc::channel();
        let client = std::thread::spawn(move || {
            client.write_all(b"begin").unwrap();
            may_read.recv().unwrap();
            let mut received = Vec::new();
            // An end that the server has not said would be an error.
            client.read_to_end(&mut received).unwrap();
            received
        });
        let mut server = accept(&listener, &handshakes).await;
        read(&mut server, b"begin").await;
        let writer = server.writer();
        assert!(writer.try_flush().unwrap());
        let bytes: Vec<u8> =
            (0..u32::MAX).map(|number| (number % 251) as u8).take(100_000).collect();
        let mut sent = Vec::new();
        loop {
            match writer.try_write(&bytes) {
                Ok(count) => {
                    assert!((1..=channel::UNSENT_BYTES).contains(&count));
                    sent.extend_from_slice(&bytes[..count]);
                }
                Err(error) => break assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        assert!(!writer.try_flush().unwrap());
        assert!(poll_once(writer.flush()).await.is_none());
        read_on.send(()).unwrap();
        writer.flush().await.unwrap();
        writer.write_all(&bytes).await.unwrap();
        assert!(writer.try_flush().unwrap());
        sent.extend_from_slice(&bytes);
        writer.shutdown(Shutdown::Both).unwrap();
        let joined = glommio::executor().spawn_blocking(move || client.join().unwrap());
        assert!(joined.await == sent);
    });
}

#[test]
fn keys_change_and_an_end_that_was_not_said_is_an_error() {
    let stand = Stand::new("tls-keys");
    LocalExecutor::default().run(async {
        let (listener, handshakes) = (listener(), stand.handshakes());
        for says_its_end in [true, false] {
            let mut client = stand.client(listener.address());
            let client = std::thread::spawn(move || {
                client.write_all(b"one").unwrap();
                client.conn.refresh_traffic_keys().unwrap();
                client.write_all(b"two").unwrap();
                let mut answer = [0; 5];
                client.read_exact(&mut answer).unwrap();
                assert_eq!(&answer, b"three");
                if says_its_end {
                    client.conn.send_close_notify();
                    client.flush().unwrap();
                }
            });
            let mut server = accept(&listener, &handshakes).await;
            read(&mut server, b"onetwo").await;
            server.writer().write_all(b"three").await.unwrap();
            glommio::executor().spawn_blocking(move || client.join().unwrap()).await;
            match server.receive(<[u8]>::len).await {
                Ok(count) => assert!(says_its_end && count == 0),
                Err(error) => {
                    assert!(!says_its_end);
                    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
                }
            }
        }
    });
}

#[test]
fn bytes_that_are_no_tls_end_a_connection_for_good() {
    let stand = Stand::new("tls-garbage");
    LocalExecutor::default().run(async {
        let (listener, handshakes) = (listener(), stand.handshakes());
        let mut client = stand.client(listener.address());
        let (go_on, may_go_on) = std::sync::mpsc::channel();
        let client = std::thread::spawn(move || {
            client.write_all(b"good").unwrap();
            // Else it might come as a part of the handshake.
            may_go_on.recv().unwrap();
            // A record of application data that nobody has encrypted.
            client.sock.write_all(&[23, 3, 3, 0, 20]).unwrap();
            client.sock.write_all(&[7; 20]).unwrap();
            client
        });
        let mut server = accept(&listener, &handshakes).await;
        read(&mut server, b"good").await;
        go_on.send(()).unwrap();
        let error = server.read_into(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let writer = server.writer();
        assert_eq!(writer.try_write(b"more").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert!(writer.try_flush().unwrap(), "nothing of it will ever leave");
        let mut told = glommio::executor().spawn_blocking(move || client.join().unwrap()).await;
        assert!(told.read(&mut [0; 8]).is_err(), "the client is told");
        drop(told);
        let error = server.read_into(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn handshakes_are_bounded_in_number_and_time() {
    let stand = Stand::new("tls-bounds");
    LocalExecutor::default().run(async {
        let listener = listener();
        let handshakes = Handshakes::bounded(stand.tls.clone(), 1, Duration::from_millis(50));
        let mut silent = TcpStream::connect(listener.address()).unwrap();
        let first = listener.next().await.unwrap().unwrap();
        let _other = TcpStream::connect(listener.address()).unwrap();
        let second = listener.next().await.unwrap().unwrap();
        let mut first = Box::pin(handshakes.secure(first));
        assert!(poll_once(&mut first).await.is_none());
        let refused = handshakes.secure(second).await.err().unwrap();
        assert!(matches!(refused, HandshakeError::TooMany(1)));
        assert!(matches!(first.await.err().unwrap(), HandshakeError::TimedOut(_)));
        silent.set_read_timeout(Some(LIMIT)).unwrap();
        assert_eq!(silent.read(&mut [0; 8]).unwrap(), 0, "it is closed");

        let mut plain = TcpStream::connect(listener.address()).unwrap();
        plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let third = listener.next().await.unwrap().unwrap();
        let failed = handshakes.secure(third).await.err().unwrap();
        assert!(matches!(failed, HandshakeError::Failed(_)), "{failed}");
    });
}
