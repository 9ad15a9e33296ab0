//! The smallest executor: a future that is polled whenever something may have changed.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Something that waits for the disk.
pub(crate) struct Task<T> {
    future: Pin<Box<dyn Future<Output = T>>>,
}

impl<T> Task<T> {
    pub fn new(future: impl Future<Output = T> + 'static) -> Task<T> {
        Task { future: Box::pin(future) }
    }

    /// Runs until it waits again. Who lets an operation go polls everyone who may wait for it, so
    /// nobody needs to be woken.
    pub fn poll(&mut self) -> Option<T> {
        match self.future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }
}

/// Runs a future that never waits, because its disk works at once.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("an image never waits"),
    }
}
