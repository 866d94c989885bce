//! Calls into the Parquet and Arrow libraries, which may panic on damaged bytes: a panic becomes an error of the object.

use super::error::DecodeError;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// After a panic the caller must not use again what `call` was changing.
pub(super) fn guarded<T>(call: impl FnOnce() -> Result<T, DecodeError>) -> Result<T, DecodeError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|payload| {
        let message = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("the reader stopped");
        Err(DecodeError::Corrupt { what: "Parquet file", source: Some(message.into()) })
    })
}
