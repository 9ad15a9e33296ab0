//! Sockets on the loopback interface, in a real executor.

use super::*;
use glommio::LocalExecutor;
use std::io::{Read, Write};

fn any_port() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// Echoes until the end of the stream, from the reader's task.
async fn echo(mut connection: Connection) {
    let writer = connection.writer();
    let mut buffer = [0; 1000];
    while let Ok(count @ 1..) = connection.read_into(&mut buffer).await {
        writer.write_all(&buffer[..count]).await.unwrap();
    }
}

#[test]
fn all_shards_share_the_port_that_the_kernel_chose() {
    let reserved = reserve(any_port(), 3).unwrap();
    let port = reserved[0].address().port();
    assert_ne!(port, 0);
    assert!(reserved.iter().all(|one| one.address().port() == port));
    // Bound, not listening: nobody is let in before the server is ready.
    assert!(std::net::TcpStream::connect(reserved[0].address()).is_err());
}

#[test]
fn a_stranger_on_the_port_is_found_before_any_executor_starts() {
    let stranger = std::net::TcpListener::bind(any_port()).unwrap();
    let error = reserve(stranger.local_addr().unwrap(), 2).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn bytes_come_back_until_the_listener_stops() {
    LocalExecutor::default().run(async {
        let listener = reserve(any_port(), 1).unwrap().remove(0).listen().unwrap();
        let address = listener.address();
        let stop = listener.stop_handle();
        let serving = glommio::spawn_local(listener.serve(|connection| {
            glommio::spawn_local(echo(connection)).detach();
        }));
        let client = std::thread::spawn(move || {
            // More than the socket buffers hold, so that the writer's waiting is used.
            let sent = vec![5; 8 * 1024 * 1024];
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            let mut other = stream.try_clone().unwrap();
            let copy = sent.clone();
            let writing = std::thread::spawn(move || {
                other.write_all(&copy).unwrap();
                other.shutdown(Shutdown::Write).unwrap();
            });
            let mut received = Vec::new();
            stream.read_to_end(&mut received).unwrap();
            writing.join().unwrap();
            assert!(received == sent);
        });
        glommio::executor().spawn_blocking(move || client.join().unwrap()).await;
        stop.stop();
        serving.await;
        assert!(std::net::TcpStream::connect(address).is_err(), "the socket is closed");
    });
}

#[test]
fn a_writer_anywhere_in_the_shard_writes_while_the_reader_sleeps() {
    LocalExecutor::default().run(async {
        let listener = reserve(any_port(), 1).unwrap().remove(0).listen().unwrap();
        let mut client = Connection::connect(listener.address()).await.unwrap();
        let mut server = listener.next().await.unwrap().unwrap();
        let writer = server.writer();
        let reading = glommio::spawn_local(async move {
            let mut buffer = [0; 16];
            let count = server.read_into(&mut buffer).await.unwrap();
            buffer[..count].to_vec()
        });
        futures_lite::future::yield_now().await;
        assert_eq!(writer.try_write(b"pushed").unwrap(), 6);
        let mut buffer = [0; 16];
        assert_eq!(client.read_into(&mut buffer).await.unwrap(), 6);
        assert_eq!(&buffer[..6], b"pushed");
        client.writer().write_all(b"answer").await.unwrap();
        assert_eq!(reading.await, b"answer");

        // A full socket says so, and is writable again after the other end has read.
        let chunk = [1; 64 * 1024];
        let mut written = 0;
        let full = loop {
            match writer.try_write(&chunk) {
                Ok(count) => written += count,
                Err(error) => break error.kind(),
            }
        };
        assert_eq!(full, io::ErrorKind::WouldBlock);
        let draining = glommio::spawn_local(async move {
            let (mut read, mut buffer) = (0, vec![0; 64 * 1024]);
            while let Ok(count @ 1..) = client.read_into(&mut buffer).await {
                read += count;
            }
            read
        });
        writer.writable().await.unwrap();
        writer.write_all(b"end").await.unwrap();
        writer.shutdown(Shutdown::Both).unwrap();
        assert_eq!(draining.await, written + 3);
    });
}

#[test]
fn the_other_end_going_away_is_an_end_or_an_error_never_a_signal() {
    LocalExecutor::default().run(async {
        let listener = reserve(any_port(), 1).unwrap().remove(0).listen().unwrap();
        let client = std::net::TcpStream::connect(listener.address()).unwrap();
        let mut server = listener.next().await.unwrap().unwrap();
        drop(client);
        assert_eq!(server.read_into(&mut [0; 8]).await.unwrap(), 0);
        let writer = server.writer();
        drop(server);
        let mut result = Ok(0);
        for _ in 0..100 {
            result = writer.try_write(b"nobody");
            glommio::timer::sleep(Duration::from_millis(1)).await;
        }
        assert!(matches!(
            result.unwrap_err().kind(),
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
        ));
    });
}
