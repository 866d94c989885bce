//! Where every received record ended up. Stored per step and per run, and checked.

use serde::{Deserialize, Serialize};
use std::ops::AddAssign;

/// Counts of records. The unit is one record; a landing object that cannot be read at all counts as one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    pub received: u64,
    /// Accepted by the table: inserted, applied as an update or delete, or older than what the table holds.
    pub loaded: u64,
    pub quarantined: u64,
    /// Removed by a rule whose action is `drop`, or by the filter of an `sql` step.
    pub dropped: u64,
    pub dead: u64,
    pub duplicates: u64,
    pub late: u64,
}

/// `received` differs from the sum of the places where a record may end.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{received} records were received but {accounted} are accounted for")]
pub struct Unbalanced {
    pub received: u64,
    pub accounted: u64,
}

impl Balance {
    /// `received = loaded + quarantined + dropped + dead + duplicates + late`, or the difference.
    pub fn check(&self) -> Result<(), Unbalanced> {
        let accounted = self.loaded + self.quarantined + self.dropped + self.dead + self.duplicates + self.late;
        if accounted == self.received { Ok(()) } else { Err(Unbalanced { received: self.received, accounted }) }
    }
}

impl AddAssign for Balance {
    fn add_assign(&mut self, o: Self) {
        self.received += o.received;
        self.loaded += o.loaded;
        self.quarantined += o.quarantined;
        self.dropped += o.dropped;
        self.dead += o.dead;
        self.duplicates += o.duplicates;
        self.late += o.late;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_record_is_found() {
        let mut b = Balance { received: 10, loaded: 6, quarantined: 2, duplicates: 1, dead: 1, ..Balance::default() };
        assert_eq!(b.check(), Ok(()));
        b.loaded -= 1;
        assert_eq!(b.check(), Err(Unbalanced { received: 10, accounted: 9 }));
    }
}
