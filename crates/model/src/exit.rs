//! How a command ends, for scripts.

/// 0 done, 1 work failed, 2 the input was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    FailedWork = 1,
    BadInput = 2,
}
