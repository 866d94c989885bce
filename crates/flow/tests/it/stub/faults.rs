//! What the engine and the landing zone fail with when they are told to.

use alluvium_flow::HELD;
use alluvium_model::{Blame, Fault, RetryClass};
use alluvium_spec::FROZEN;

#[derive(Debug, thiserror::Error)]
#[error("told to fail")]
pub struct Told;

impl Fault for Told {
    fn code(&self) -> &'static str {
        "T0001"
    }

    fn class(&self) -> RetryClass {
        RetryClass::Data
    }

    fn remedy(&self) -> &'static str {
        "none"
    }
}

#[derive(Debug, thiserror::Error)]
#[error("its fields do not fit")]
pub struct Frozen;

impl Fault for Frozen {
    fn code(&self) -> &'static str {
        FROZEN
    }

    fn class(&self) -> RetryClass {
        RetryClass::Schema
    }

    fn remedy(&self) -> &'static str {
        "none"
    }
}

#[derive(Debug, thiserror::Error)]
#[error("its gate refuses it")]
pub struct Held;

impl Fault for Held {
    fn code(&self) -> &'static str {
        HELD
    }

    fn class(&self) -> RetryClass {
        RetryClass::Data
    }

    fn remedy(&self) -> &'static str {
        "none"
    }
}

#[derive(Debug, thiserror::Error)]
#[error("another commit came in between")]
pub struct Late;

impl Fault for Late {
    fn code(&self) -> &'static str {
        "T0003"
    }

    fn class(&self) -> RetryClass {
        RetryClass::Transient
    }

    fn remedy(&self) -> &'static str {
        "none"
    }
}

#[derive(Debug, thiserror::Error)]
#[error("rejected")]
pub struct Rejected(pub RetryClass, pub Blame);

impl Fault for Rejected {
    fn code(&self) -> &'static str {
        "T0004"
    }

    fn class(&self) -> RetryClass {
        self.0
    }

    fn remedy(&self) -> &'static str {
        "none"
    }

    fn blames(&self) -> Blame {
        self.1
    }
}
