//! Sums what the test binaries say about themselves.

use std::fmt;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
    /// What failed, with what it printed: the lines of a run are many, and these are the ones that are looked for.
    pub failures: Vec<String>,
    /// Lines that are still told of the failure that is being read.
    left: usize,
}

/// A test may have printed thousands.
const LINES_OF_A_FAILURE: usize = 40;

impl Totals {
    /// Takes a line of a test binary; only its `test result:` line counts.
    pub fn add_line(&mut self, line: &str) {
        match line {
            "failures:" => self.left = 0,
            _ if line.starts_with("---- ") && line.ends_with(" ----") => self.left = LINES_OF_A_FAILURE,
            _ => {}
        }
        if self.left > 0 {
            self.left -= 1;
            self.failures.push(line.to_owned());
        }
        let Some(counts) = line.strip_prefix("test result: ") else { return };
        let number_before = |word: &str| {
            let at = counts.find(word)?;
            counts[..at].trim_end().rsplit([' ', '.']).next()?.parse::<u64>().ok()
        };
        self.passed += number_before(" passed").unwrap_or(0);
        self.failed += number_before(" failed").unwrap_or(0);
        self.skipped += number_before(" ignored").unwrap_or(0);
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.failures {
            writeln!(f, "{line}")?;
        }
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_result_lines_count() {
        let mut t = Totals::default();
        t.add_line("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.00s");
        t.add_line("test a::b ... ok");
        t.add_line("test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out");
        assert_eq!((t.passed, t.failed, t.skipped), (13, 2, 1));
        assert_eq!(t.to_string(), "13 passed, 2 failed, 1 skipped");
    }

    #[test]
    fn what_failed_is_told_again_before_the_sums() {
        let mut t = Totals::default();
        for line in [
            "test a::b ... FAILED",
            "failures:",
            "---- a::b stdout ----",
            "left: 1",
            "failures:",
            "    a::b",
            "test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out",
        ] {
            t.add_line(line);
        }
        assert_eq!(t.to_string(), "---- a::b stdout ----\nleft: 1\n0 passed, 1 failed, 0 skipped");
    }
}
