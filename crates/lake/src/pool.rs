//! What all queries of a process may hold together, and how they share it.

use datafusion::{
    common::{DataFusionError, Result, resources_datafusion_err},
    execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation},
};
use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// One part in so many is left to what cannot spill, joins and what reads from sorts, whatever sorts hold.
const OTHERS: usize = 4;
/// DataFusion's name for the consumer of a sort's merges, of what it holds and of what it spilled.
const MERGE: &str = "ExternalSorterMerge";
/// What the names of its groupings have in common.
const GROUPING: &str = "HashAggregate";

/// Equal shares for consumers that can spill, which groupings lend each other, room for their merges, and room for what reads from them.
///
/// A sort that has filled its share merges what it holds, and that takes memory which cannot spill. DataFusion's own
/// fair pool lets spillable consumers hold all of it, and more when one joins after another has grown; and the merge of
/// spilled files takes what there is, though less would do, and leaves nothing to who reads from it. With it, sorts
/// larger than memory failed or not by the order in which threads were faster.
#[derive(Debug)]
pub(crate) struct QueryPool {
    size: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    spillers: usize,
    spillable: usize,
    merges: usize,
    others: usize,
}

#[derive(Clone, Copy)]
enum Kind {
    /// A grouping: it can spill, and nothing has to be merged before that.
    Grouping,
    /// Whatever else can spill.
    Sort,
    Merge,
    Other,
}

impl Kind {
    fn of(consumer: &MemoryConsumer) -> Self {
        match consumer.can_spill() {
            true if consumer.name().contains(GROUPING) => Self::Grouping,
            true => Self::Sort,
            false if consumer.name().starts_with(MERGE) => Self::Merge,
            false => Self::Other,
        }
    }
}

impl QueryPool {
    pub fn new(size: usize) -> Self {
        Self { size, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(&self, asked: &MemoryReservation, more: usize, left: usize) -> DataFusionError {
        let who = asked.consumer().name();
        resources_datafusion_err!(
            "{who} holds {} bytes and asks for {more} more; {left} of {} are left",
            asked.size(),
            self.size
        )
    }
}

impl Held {
    fn of(&mut self, kind: Kind) -> &mut usize {
        match kind {
            Kind::Grouping | Kind::Sort => &mut self.spillable,
            Kind::Merge => &mut self.merges,
            Kind::Other => &mut self.others,
        }
    }

    /// What a consumer of that kind that holds `own` may still take from a pool of `size`.
    fn left(&self, size: usize, kind: Kind, own: usize) -> usize {
        let sorts = size.saturating_sub(self.others.max(size / OTHERS));
        // A merge needs as much as what it merges, and a little more; a second part is for it.
        let shares = sorts / 3 * 2;
        let share = shares / self.spillers.max(1);
        // Of what can spill, what is more than its shares is given back at its next growth: until then the pool holds more than its
        // size, as otherwise who comes late could hold nothing, and would fail.
        let taken = self.merges + self.spillable.min(shares);
        match kind {
            Kind::Sort => share.saturating_sub(own),
            // Of two stages of a query one may hold nothing while the other spills. Not so for sorts: a merge takes as much
            // as its sort holds.
            Kind::Grouping => {
                let unused = shares.saturating_sub(self.spillable).min(sorts.saturating_sub(taken));
                share.saturating_sub(own).max((2 * share).saturating_sub(own).min(unused))
            }
            Kind::Merge => sorts.saturating_sub(taken),
            Kind::Other => size.saturating_sub(taken + self.others),
        }
    }
}

impl MemoryPool for QueryPool {
    fn name(&self) -> &str {
        "queries"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.held().spillers += usize::from(consumer.can_spill());
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.held().spillers -= usize::from(consumer.can_spill());
    }

    fn grow(&self, reservation: &MemoryReservation, more: usize) {
        *self.held().of(Kind::of(reservation.consumer())) += more;
    }

    fn shrink(&self, reservation: &MemoryReservation, less: usize) {
        *self.held().of(Kind::of(reservation.consumer())) -= less;
    }

    fn try_grow(&self, reservation: &MemoryReservation, more: usize) -> Result<()> {
        let kind = Kind::of(reservation.consumer());
        let mut held = self.held();
        let left = held.left(self.size, kind, reservation.size());
        if more > left {
            return Err(self.refused(reservation, more, left));
        }
        *held.of(kind) += more;
        Ok(())
    }

    fn reserved(&self) -> usize {
        let held = self.held();
        held.spillable + held.merges + held.others
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.size)
    }
}

impl fmt::Display for QueryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", self.name(), self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn consumer(pool: &Arc<dyn MemoryPool>, name: &str, spills: bool) -> MemoryReservation {
        MemoryConsumer::new(name).with_can_spill(spills).register(pool)
    }

    fn takes_all(of: &MemoryReservation) -> usize {
        let before = of.size();
        while of.try_grow(1).is_ok() {}
        of.size() - before
    }

    #[test]
    fn a_merge_finds_room_though_one_sort_had_grown_before_another_came() {
        let pool: Arc<dyn MemoryPool> = Arc::new(QueryPool::new(1200));
        let first = consumer(&pool, "first", true);
        assert_eq!(takes_all(&first), 600, "alone, half of it");
        let second = consumer(&pool, "second", true);
        assert_eq!(takes_all(&second), 300, "its share, though the first holds more than its own");
        assert!(first.try_grow(1).is_err());
        let merge = consumer(&pool, "ExternalSorterMerge[0]", false);
        assert_eq!(takes_all(&merge), 300, "the merges' part");
        first.free();
        assert_eq!(takes_all(&merge), 300, "what it merges gave that back");
        assert_eq!(takes_all(&consumer(&pool, "reader", false)), 300, "what is left to others");
        assert!(second.try_grow(1).is_err(), "{pool}");
    }

    #[test]
    fn shares_that_are_not_used_are_lent_to_groupings_that_hold_less_than_two() {
        let pool: Arc<dyn MemoryPool> = Arc::new(QueryPool::new(1600));
        let grouping = |i| consumer(&pool, &format!("FinalHashAggregateStream[{i}]"), true);
        let four: Vec<MemoryReservation> = (0..4).map(grouping).collect();
        assert_eq!(takes_all(&four[0]), 400, "two shares of 200");
        assert_eq!(takes_all(&four[1]), 400);
        assert_eq!(takes_all(&four[2]), 200, "its own, though nothing is left to lend");
        assert!(four[0].try_grow(1).is_err());
        four[1].free();
        assert_eq!(takes_all(&four[2]), 200);
    }

    #[test]
    fn what_cannot_spill_makes_the_shares_smaller() {
        let pool: Arc<dyn MemoryPool> = Arc::new(QueryPool::new(1200));
        let build = consumer(&pool, "build", false);
        build.try_grow(900).expect("alone it might hold all");
        let (left, right) = (consumer(&pool, "left", true), consumer(&pool, "right", true));
        assert_eq!((takes_all(&left), takes_all(&right)), (100, 100));
        drop(right);
        assert_eq!(takes_all(&left), 100, "the share of who left");
        drop(build);
        assert_eq!(takes_all(&left), 400);
        drop(left);
        assert_eq!(pool.reserved(), 0);
    }
}
