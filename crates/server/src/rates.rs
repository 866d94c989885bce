//! Rates that the project says, as the state counts them.

use alluvium_store::Rate;

/// `own`: the name of one that is not shared.
pub(crate) fn counted(rate: &alluvium_spec::Rate, own: impl FnOnce() -> String) -> Rate {
    let alluvium_spec::Rate { key, limit, period, burst } = rate;
    Rate { key: key.clone().unwrap_or_else(own), limit: *limit, period: *period, burst: *burst }
}
