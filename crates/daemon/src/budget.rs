//! The share of one core that work in the background may take, kept by all of it together.
//!
//! Whoever wants to work waits for a turn, works, and rests before the turn is the next one's, for as long
//! as keeps the whole within the share. Invariant: there is one turn at a time, so that two kinds of work
//! take no more than one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard, watch};

/// The longest rest: a share near 0 must not look like a hang.
const REST_MAX: Duration = Duration::from_secs(600);

/// See the module. Clones are the same budget.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    share: watch::Sender<f64>,
    turn: Mutex<()>,
}

/// A turn to work. Dropped, it is over without a rest.
#[derive(Debug)]
pub struct Turn<'a> {
    budget: &'a Budget,
    _turn: MutexGuard<'a, ()>,
}

impl Budget {
    /// `share` of one core may be used, from 0 (nothing is done) to 1.
    pub fn new(share: f64) -> Self {
        Self(Arc::new(Shared {
            share: watch::Sender::new(share),
            turn: Mutex::new(()),
        }))
    }

    /// Uses another share of a core from now on.
    pub fn set_share(&self, share: f64) {
        self.0.share.send_replace(share);
    }

    /// The share in force.
    pub fn share(&self) -> f64 {
        *self.0.share.borrow()
    }

    /// Waits for a turn, who came first first. There is none while the share is 0.
    pub async fn turn(&self) -> Turn<'_> {
        let mut share = self.0.share.subscribe();
        loop {
            // The sender lives as long as `self`.
            share.wait_for(|share| *share > 0.0).await.ok();
            let turn = self.0.turn.lock().await;
            if self.share() > 0.0 {
                return Turn {
                    budget: self,
                    _turn: turn,
                };
            }
        }
    }
}

impl Turn<'_> {
    /// Ends the turn after work of `took`, with the rest that is due.
    pub async fn end(self, took: Duration) {
        tokio::time::sleep(rest(took, self.budget.share())).await;
    }
}

/// The rest after work of `took` that keeps the whole within `share`.
fn rest(took: Duration, share: f64) -> Duration {
    if share >= 1.0 {
        return Duration::ZERO;
    }
    let rest = took.as_secs_f64() * (1.0 / share.max(f64::MIN_POSITIVE) - 1.0);
    Duration::try_from_secs_f64(rest)
        .unwrap_or(REST_MAX)
        .min(REST_MAX)
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn is_ready<F: Future>(future: F) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        matches!(pin!(future).as_mut().poll(&mut context), Poll::Ready(_))
    }

    #[test]
    fn the_rest_keeps_the_work_within_its_share() {
        let ms = Duration::from_millis;
        assert_eq!(rest(ms(100), 0.1), ms(900));
        assert_eq!(rest(ms(20), 0.25), ms(60));
        assert_eq!(rest(ms(100), 0.5), ms(100));
        assert_eq!(rest(ms(100), 1.0), ms(0));
        assert_eq!(rest(ms(100), 0.0), REST_MAX);
        assert_eq!(rest(Duration::MAX, 0.1), REST_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_has_a_turn_while_another_works_or_rests() {
        let budget = Budget::new(0.5);
        let turn = budget.turn().await;
        assert!(!is_ready(budget.turn()));
        let mut end = pin!(turn.end(Duration::from_secs(3)));
        assert!(!is_ready(end.as_mut()) && !is_ready(budget.turn()));
        end.await; // the clock of the test leaps there
        assert!(is_ready(budget.turn()));
    }

    #[tokio::test]
    async fn without_a_share_there_is_no_turn() {
        let budget = Budget::new(0.0);
        let mut turn = Box::pin(budget.turn());
        assert!(!is_ready(turn.as_mut()));
        budget.set_share(0.5);
        turn.await;
    }
}
