//! What the criteria found: what is held back for, what is told, and what is kept as a result.

use super::before::Figures;
use alluvium_spec::{Action, Beyond};
use alluvium_store::QualityResult;
use jiff::Timestamp;

/// In the order in which it was judged.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) breaches: Vec<String>,
    pub(crate) notes: Vec<String>,
    pub(crate) quality: Vec<QualityResult>,
    /// Figures of columns, for the steps that are compared with this one.
    pub(crate) figures: Figures,
}

/// What was measured.
pub(super) struct Measured {
    pub(super) rule: String,
    pub(super) dimension: &'static str,
    /// Rows, or parts of them.
    pub(super) checked: u64,
    /// Of those, what is wrong; a figure that is beyond its level counts as one.
    pub(super) violations: u64,
    /// The figure in words.
    pub(super) note: String,
    /// And as a number, if it is compared with the dataset's history.
    pub(super) figure: Option<f64>,
}

impl Found {
    /// `words` of the level that was passed follow the figure.
    pub(super) fn judge(&mut self, of: Measured, beyond: Option<Beyond>, words: impl Fn(Beyond) -> String) {
        let told = beyond.map(|b| (b.is_error, format!("{}, {}", of.note, words(b))));
        self.say(of, told);
    }

    /// A sentence for a person, and whether it holds the step back.
    pub(super) fn say(&mut self, of: Measured, told: Option<(bool, String)>) {
        let note = told.as_ref().map_or_else(|| of.note.clone(), |(_, sentence)| sentence.clone());
        let passed = told.is_none();
        match told {
            Some((true, sentence)) => self.breaches.push(sentence),
            Some((false, sentence)) => self.notes.push(sentence),
            None => {}
        }
        self.quality.push(QualityResult {
            rule: of.rule,
            action: Action::Warn.word().into(),
            severity: "warning".into(),
            dimension: Some(of.dimension.into()),
            checked: of.checked,
            violations: of.violations,
            passed,
            note: Some(note),
            figure: of.figure,
        });
    }
}

/// `above 5`.
pub(super) fn plainly(b: Beyond) -> String {
    format!("{} {}", b.side(), figure(b.limit))
}

/// `above 5.00 %`.
pub(super) fn percent(b: Beyond) -> String {
    format!("{} {:.2} %", b.side(), b.limit * 100.0)
}

/// `above 50 %`: a share of what is usual.
pub(super) fn ratio(b: Beyond) -> String {
    format!("{} {:.0} %", b.side(), b.limit * 100.0)
}

/// Six digits, or all of a whole number. Digits in which sums of the same values differ by their order are not shown, so that the same rows give the
/// same sentence.
pub(super) fn figure(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return value.to_string();
    }
    if size != 0.0 && !(1e-4..1e15).contains(&size) {
        return format!("{value:.5e}");
    }
    let digits = if size < 1.0 { 0 } else { size.log10().floor() as i32 + 1 };
    let places = usize::try_from(6 - digits).unwrap_or(0);
    let text = format!("{value:.places$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A time from its microseconds since 1970; one outside of the years that can be written stays a number.
pub(super) fn moment(micros: f64) -> String {
    Timestamp::from_microsecond(micros as i64).map_or_else(|_| figure(micros), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::{figure, moment};

    #[test]
    fn moments_are_written_as_times() {
        assert_eq!(moment(1_356_998_400e6), "2013-01-01T00:00:00Z");
        assert_eq!(moment(1e30), "1.00000e30");
    }

    #[test]
    fn figures_are_those_of_people() {
        let all = [0.0, -0.0, 3.0, -12.5, 1234567.0, 1234567.25, 0.1 + 0.2, 100.0 / 3.0, 1e-7, 2e15, f64::NAN];
        let said = ["0", "0", "3", "-12.5", "1234567", "1234567", "0.3", "33.3333", "1.00000e-7", "2.00000e15", "NaN"];
        assert_eq!(all.map(figure), said);
    }
}
