//! Reading a file from one end to the other while what was read is used: the device works on the next
//! chunks meanwhile.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use crate::disk::DiskFile;

/// How much is read at once, in bytes.
const READ_CHUNK_BYTES: usize = 2 << 20;
/// Chunks under way at once.
const CHUNKS_AHEAD: usize = 4;

type Read = Pin<Box<dyn Future<Output = io::Result<Vec<u8>>>>>;

/// A file and the chunks of it that are on their way.
pub(crate) struct ReadAhead<F> {
    file: Rc<F>,
    /// Where the next chunk to be asked for begins.
    offset: u64,
    length: u64,
    reads: VecDeque<Chunk>,
}

enum Chunk {
    Here(io::Result<Vec<u8>>),
    UnderWay(Read),
}

impl<F: DiskFile> ReadAhead<F> {
    /// Begins at an offset, a block's, of a file of this length.
    pub fn new(file: F, offset: u64, length: u64) -> ReadAhead<F> {
        ReadAhead { file: Rc::new(file), offset, length, reads: VecDeque::new() }
    }

    /// The next chunk; empty behind the end. The last one may be short, and one that is shorter than
    /// the file is long means that the file has become shorter.
    pub async fn next(&mut self) -> io::Result<Vec<u8>> {
        self.ask_ahead().await;
        match self.reads.pop_front() {
            None => Ok(Vec::new()),
            Some(Chunk::Here(result)) => result,
            Some(Chunk::UnderWay(read)) => read.await,
        }
    }

    async fn ask_ahead(&mut self) {
        let mut has_asked = false;
        while self.reads.len() < CHUNKS_AHEAD && self.offset < self.length {
            let (file, offset) = (self.file.clone(), self.offset);
            let mut read: Read =
                Box::pin(async move { file.read_at(offset, READ_CHUNK_BYTES).await });
            self.offset += READ_CHUNK_BYTES as u64;
            // A future does nothing before it is polled.
            let polled = poll_fn(|context| Poll::Ready(read.as_mut().poll(context))).await;
            self.reads.push_back(match polled {
                Poll::Ready(result) => Chunk::Here(result),
                Poll::Pending => {
                    has_asked = true;
                    Chunk::UnderWay(read)
                }
            });
        }
        if has_asked {
            give_way().await;
        }
    }
}

/// Lets the executor hand what was asked for to the system, before the caller goes on computing.
async fn give_way() {
    let mut has_given = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_given, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
