//! The fence of one route: which targets are refused, and which actors come too late. Pure.
//!
//! Kept per route, because a route belongs to one resource: two plans for two resources run at the same
//! time, and neither must make the other one stale.
//!
//! Invariants: the highest token never falls; a refused target is allowed again only with a token at
//! least as high as the one that refused it (which follows from the former, since an act below the highest
//! token is turned away).

use std::collections::BTreeMap;

use evenkeel_core::FencingToken;

use super::config::Target;

/// An actor's token is older than one that was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stale {
    pub(super) highest: FencingToken,
}

#[derive(Debug)]
pub(super) struct Fence {
    highest: FencingToken,
    refused: BTreeMap<Target, FencingToken>,
}

impl Fence {
    /// A fence with nothing refused that has seen tokens up to `highest`.
    pub(super) fn new(highest: FencingToken) -> Self {
        Self {
            highest,
            refused: BTreeMap::new(),
        }
    }

    /// Lets an actor in, or turns it away because a newer one was here.
    pub(super) fn admit(&mut self, token: FencingToken) -> Result<(), Stale> {
        if token < self.highest {
            return Err(Stale {
                highest: self.highest,
            });
        }
        self.highest = token;
        Ok(())
    }

    /// Fences `target` off. Repeating it with a newer token raises the bar.
    pub(super) fn refuse(&mut self, target: Target, token: FencingToken) -> Result<(), Stale> {
        self.admit(token)?;
        self.refused.insert(target, token);
        Ok(())
    }

    /// Takes the fence round `target` away; harmless where there is none.
    pub(super) fn allow(&mut self, target: Target, token: FencingToken) -> Result<(), Stale> {
        self.admit(token)?;
        self.refused.remove(&target);
        Ok(())
    }

    /// The token with which `target` is refused, if it is.
    pub(super) fn refused_by(&self, target: Target) -> Option<FencingToken> {
        self.refused.get(&target).copied()
    }

    pub(super) fn highest(&self) -> FencingToken {
        self.highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn target(port: u16) -> Target {
        Target::from(std::net::SocketAddr::from(([127, 0, 0, 1], port)))
    }

    #[test]
    fn a_late_actor_can_neither_refuse_nor_allow() {
        let mut fence = Fence::new(FencingToken(5));
        assert_eq!(fence.refuse(target(1), FencingToken(6)), Ok(()));
        let stale = Err(Stale {
            highest: FencingToken(6),
        });
        assert_eq!(fence.allow(target(1), FencingToken(5)), stale);
        assert_eq!(fence.refuse(target(2), FencingToken(5)), stale);
        assert_eq!(fence.refused_by(target(1)), Some(FencingToken(6)));
        assert_eq!(fence.refused_by(target(2)), None);
        assert_eq!(fence.allow(target(1), FencingToken(6)), Ok(()));
        assert_eq!(fence.refused_by(target(1)), None);
    }

    proptest! {
        #[test]
        fn only_a_token_at_least_as_high_takes_a_refusal_away(
            acts in prop::collection::vec((0_u16..3, 0_u64..8, prop::bool::ANY), 1..40)
        ) {
            let mut fence = Fence::new(FencingToken(0));
            for (port, token, refuse) in acts {
                let (target, token) = (target(port), FencingToken(token));
                let (before, by) = (fence.highest(), fence.refused_by(target));
                let done = if refuse { fence.refuse(target, token) } else { fence.allow(target, token) };
                prop_assert_eq!(done.is_ok(), token >= before);
                prop_assert!(fence.highest() >= before);
                if fence.refused_by(target).is_none() && let Some(by) = by {
                    prop_assert!(token >= by);
                }
            }
        }
    }
}
