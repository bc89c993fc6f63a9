//! Moves bytes between a client and its target, both ways, and knows at any instant whether the two are
//! in the middle of something.
//!
//! Why not `tokio::io::copy_bidirectional`: it cannot tell whether a connection is idle, and it keeps two
//! buffers per connection even while nothing moves. Here a chunk is read into space on the stack and
//! written at once; only what the receiver does not take is copied aside. An idle connection holds no
//! buffer, so thousands of them cost little, and the space is always warm in the cache.
//!
//! Invariants: bytes leave in the order in which they came; nothing is read from a side while the other
//! has not taken what was read before (back-pressure); an end of stream is passed on after the last byte.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How much is read at once. Large enough for a typical answer in one piece, small enough for the stack
/// of a worker and the first-level cache.
const CHUNK_BYTES: usize = 16 * 1024;

/// Bytes moved on one connection, for the statistics.
#[derive(Debug, Default)]
pub(super) struct Meter {
    pub(super) to_target: AtomicU64,
    pub(super) to_client: AtomicU64,
}

/// How a relay came to its end by itself.
#[derive(Debug)]
pub(super) enum RelayEnd {
    /// Both sides have closed in an orderly way.
    Finished,
    /// One side broke; the error is of the read that showed it.
    Broken(io::Error),
}

/// What a relay under watch did.
#[derive(Debug)]
pub(super) enum Step {
    /// Some bytes moved.
    Moved,
    /// It came to its end.
    Ended(RelayEnd),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    ToTarget,
    ToClient,
}

/// One connection: the client's side and the target's side.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) client: TcpStream,
    pub(super) server: TcpStream,
    to_target: Flow,
    to_client: Flow,
    /// Which way bytes went last.
    last: Option<Direction>,
}

impl Relay {
    pub(super) fn new(client: TcpStream, server: TcpStream) -> Self {
        Self {
            client,
            server,
            to_target: Flow::default(),
            to_client: Flow::default(),
            last: None,
        }
    }

    /// Relays until both sides are done or one breaks. Safe to drop and call again.
    pub(super) async fn run(&mut self, meter: &Meter) -> RelayEnd {
        poll_fn(|cx| self.poll(cx, meter)).await
    }

    /// Relays until some bytes have moved. Safe to drop and call again.
    pub(super) async fn step(&mut self, meter: &Meter) -> Step {
        let before = meter.sum();
        poll_fn(|cx| match self.poll(cx, meter) {
            Poll::Ready(end) => Poll::Ready(Step::Ended(end)),
            Poll::Pending if meter.sum() != before => Poll::Ready(Step::Moved),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Nothing is under way: all that was read has been passed on, neither side has begun to close, and
    /// the last word was the target's (so that what the client asked for last has been answered), or
    /// nobody has said anything yet.
    pub(super) fn is_idle(&self) -> bool {
        self.to_target.is_at_rest()
            && self.to_client.is_at_rest()
            && self.last != Some(Direction::ToTarget)
    }

    fn poll(&mut self, cx: &mut Context<'_>, meter: &Meter) -> Poll<RelayEnd> {
        // Answers first: were the order the other way round, the tail of an old answer that arrives
        // together with a new question would hide that the question is still open.
        let other = self.to_target.stage;
        let down = self
            .to_client
            .poll(cx, &mut self.server, &mut self.client, other);
        if let Some(bytes) = self.to_client.take_moved() {
            add(&meter.to_client, bytes);
            self.last = Some(Direction::ToClient);
        }
        let other = self.to_client.stage;
        let up = self
            .to_target
            .poll(cx, &mut self.client, &mut self.server, other);
        if let Some(bytes) = self.to_target.take_moved() {
            add(&meter.to_target, bytes);
            self.last = Some(Direction::ToTarget);
        }
        match (down, up) {
            (Poll::Ready(Err(error)), _) | (_, Poll::Ready(Err(error))) => {
                Poll::Ready(RelayEnd::Broken(error))
            }
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(RelayEnd::Finished),
            (Poll::Pending, _) | (_, Poll::Pending) => Poll::Pending,
        }
    }
}

impl Meter {
    /// Changes whenever a byte moves.
    fn sum(&self) -> u64 {
        let to_target = self.to_target.load(Ordering::Relaxed);
        to_target.wrapping_add(self.to_client.load(Ordering::Relaxed))
    }
}

/// Only the connection's own task writes its meter, so a plain store will do and no other core waits.
fn add(counter: &AtomicU64, bytes: u64) {
    counter.store(
        counter.load(Ordering::Relaxed).wrapping_add(bytes),
        Ordering::Relaxed,
    );
}

/// One direction of a connection.
#[derive(Debug, Default)]
struct Flow {
    stage: Stage,
    /// What the receiver has not taken yet, from `rest_start` on. Empty and unallocated most of the time.
    rest: Vec<u8>,
    rest_start: usize,
    /// Bytes read since `take_moved` was asked last.
    moved: u64,
}

/// How far one direction has come. Each stage leads to the next one only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Bytes may come.
    #[default]
    Open,
    /// The sender has closed; the rest and the close have to be passed on.
    Closing,
    /// All is passed on.
    Closed,
}

impl Flow {
    fn is_at_rest(&self) -> bool {
        self.stage == Stage::Open && self.rest.is_empty()
    }

    fn take_moved(&mut self) -> Option<u64> {
        let moved = std::mem::take(&mut self.moved);
        (moved > 0).then_some(moved)
    }

    /// Moves all that can be moved now; `other` is how far the other direction has come. An error is one of reading: then the sender is gone, perhaps in
    /// the middle of a message, and the receiver must not take what it has for the whole.
    ///
    /// A receiver that no longer takes anything closes this direction quietly: it may have answered
    /// before it closed, and that answer is still to be delivered by the other direction, which will see
    /// the receiver's end (or error) next.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut TcpStream,
        to: &mut TcpStream,
        other: Stage,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.stage == Stage::Closed {
                return Poll::Ready(Ok(()));
            }
            if ready!(self.poll_send_rest(cx, to)).is_err() {
                self.abandon();
                continue;
            }
            match self.stage {
                Stage::Open => ready!(self.poll_pass_on(cx, from, to))?,
                // With both directions at their end the sockets are closed next, which says the same.
                Stage::Closing if other == Stage::Closed => self.stage = Stage::Closed,
                Stage::Closing => {
                    // An error means that the receiver is gone: then it need not be told.
                    let _gone = ready!(Pin::new(&mut *to).poll_shutdown(cx));
                    self.stage = Stage::Closed;
                }
                Stage::Closed => {}
            }
        }
    }

    /// Reads one chunk and writes it at once. What the receiver does not take becomes the rest.
    fn poll_pass_on(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut TcpStream,
        to: &mut TcpStream,
    ) -> Poll<io::Result<()>> {
        let mut space = [const { MaybeUninit::<u8>::uninit() }; CHUNK_BYTES];
        let mut chunk = ReadBuf::uninit(&mut space);
        ready!(Pin::new(from).poll_read(cx, &mut chunk))?;
        let bytes = chunk.filled();
        if bytes.is_empty() {
            self.stage = Stage::Closing;
            return Poll::Ready(Ok(()));
        }
        self.moved += bytes.len() as u64;
        match Pin::new(to).poll_write(cx, bytes) {
            Poll::Ready(Ok(taken)) => self.rest.extend_from_slice(&bytes[taken..]),
            Poll::Ready(Err(_)) => self.abandon(),
            Poll::Pending => self.rest.extend_from_slice(bytes),
        }
        Poll::Ready(Ok(()))
    }

    fn poll_send_rest(&mut self, cx: &mut Context<'_>, to: &mut TcpStream) -> Poll<io::Result<()>> {
        while !self.rest.is_empty() {
            let taken = ready!(Pin::new(&mut *to).poll_write(cx, &self.rest[self.rest_start..]))?;
            self.rest_start += taken;
            if self.rest_start == self.rest.len() {
                // The allocation stays: a receiver that was slow once will be slow again.
                self.rest.clear();
                self.rest_start = 0;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn abandon(&mut self) {
        self.rest = Vec::new();
        self.rest_start = 0;
        self.stage = Stage::Closed;
    }
}
