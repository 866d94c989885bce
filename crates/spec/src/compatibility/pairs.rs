//! Pairs of types that were compared, so that types which hold themselves, or share parts, are looked at once.
//!
//! A pair that is being looked at counts as compatible: it is if the rest is. What was found so is kept while that holds,
//! and what was found not so is kept for good, since no assumption could have helped.

use std::collections::BTreeSet;

/// Deeper nests are not decided; whoever asks has to say no.
const MOST_DEPTH: usize = 200;

pub(crate) struct Pairs<P> {
    /// Assumed, in the order in which they were.
    assumed: Vec<P>,
    known: BTreeSet<P>,
    refuted: BTreeSet<P>,
    depth: usize,
}

/// What is known of a pair before it is looked at.
pub(crate) enum Look {
    Known(bool),
    /// Look, and tell [`Pairs::close`] with this mark.
    Open(usize),
}

impl<P> Default for Pairs<P> {
    fn default() -> Self {
        Self { assumed: Vec::new(), known: BTreeSet::new(), refuted: BTreeSet::new(), depth: 0 }
    }
}

impl<P: Ord + Clone> Pairs<P> {
    pub(crate) fn open(&mut self, pair: &P) -> Look {
        if self.refuted.contains(pair) || self.depth >= MOST_DEPTH {
            return Look::Known(false);
        }
        if !self.known.insert(pair.clone()) {
            return Look::Known(true);
        }
        self.depth += 1;
        self.assumed.push(pair.clone());
        Look::Open(self.assumed.len() - 1)
    }

    pub(crate) fn close(&mut self, mark: usize, holds: bool) -> bool {
        self.depth -= 1;
        if !holds {
            // All that was assumed since may have rested on it.
            let pair = self.assumed[mark].clone();
            for dropped in self.assumed.drain(mark..) {
                self.known.remove(&dropped);
            }
            self.refuted.insert(pair);
        }
        holds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rests_on_a_refuted_pair_is_looked_at_again() {
        let mut pairs = Pairs::default();
        let Look::Open(outer) = pairs.open(&1) else { panic!("it is new") };
        let Look::Open(inner) = pairs.open(&2) else { panic!("it is new") };
        // The outer one counts as compatible while it is looked at.
        assert!(matches!(pairs.open(&1), Look::Known(true)));
        assert!(pairs.close(inner, true) && matches!(pairs.open(&2), Look::Known(true)));
        assert!(!pairs.close(outer, false));
        assert!(matches!(pairs.open(&1), Look::Known(false)) && matches!(pairs.open(&2), Look::Open(_)));
    }

    #[test]
    fn a_deep_nest_ends() {
        let mut pairs = Pairs::default();
        let depth = (0..10_000).take_while(|n| matches!(pairs.open(n), Look::Open(_))).count();
        assert_eq!(depth, MOST_DEPTH);
    }
}
