//! Sets of states as statements name them. Partial indexes are found by exactly this text, so it cannot be an argument.

/// Steps of which nothing becomes any more.
macro_rules! over {
    () => {
        "('done', 'superseded')"
    };
}

/// Steps that are executed, or are to be. By way of the index of steps that are not [`over!`], dead letters left out.
macro_rules! open {
    () => {
        "('planned', 'running', 'failed')"
    };
}

pub(super) use {open, over};

#[cfg(test)]
mod tests {
    use crate::{StepState, sql::codec::Word};

    fn set(is_in: impl Fn(StepState) -> bool) -> String {
        let words = ["done", "superseded", "planned", "running", "failed", "dead"];
        let state = |word: &str| StepState::WORDS.iter().find(|(_, w)| *w == word).expect("a state").0;
        let words: Vec<String> = words.iter().filter(|w| is_in(state(w))).map(|w| format!("'{w}'")).collect();
        format!("({})", words.join(", "))
    }

    #[test]
    fn sets_are_those_of_the_machine() {
        assert_eq!(StepState::WORDS.len(), 6, "the list above has every state");
        assert_eq!(over!(), set(StepState::is_over));
        assert_eq!(open!(), set(StepState::is_open));
    }
}
