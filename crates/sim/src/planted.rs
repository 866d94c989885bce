//! What a simulated world can be made to do wrong, so that what is checked at the end is seen to find it.

/// One defect, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    Nothing,
    /// The lake holds superseded steps to be over.
    Ajar,
    /// The lake trusts its workers, and looks at nothing before it takes a commit in.
    Down,
    /// The gate publishes what it has to hold back.
    Gateless,
    /// That of gold does.
    Gilded,
    /// Whoever replays or discards does not ask what has left the quarantine meanwhile.
    Forgetful,
    /// What follows a commit is left to nobody.
    Careless,
    /// What is dropped is counted nowhere.
    Uncounted,
    /// Nobody is told that drift froze a dataset.
    Thawed,
    /// Alerts are acknowledged, and not written down.
    Mute,
    /// The state does not tell when datasets committed last.
    Timeless,
    /// Nor what they took before.
    Amnesiac,
    /// A lake that takes nothing in is not told from a step that fails.
    Blameless,
    /// What is pushed is acknowledged, and not written down.
    Deaf,
}

impl Planted {
    /// As the command line has it.
    pub const WORDS: [(&'static str, Self); 13] = [
        ("ajar", Self::Ajar),
        ("down", Self::Down),
        ("gateless", Self::Gateless),
        ("gilded", Self::Gilded),
        ("forgetful", Self::Forgetful),
        ("careless", Self::Careless),
        ("uncounted", Self::Uncounted),
        ("thawed", Self::Thawed),
        ("mute", Self::Mute),
        ("timeless", Self::Timeless),
        ("amnesiac", Self::Amnesiac),
        ("blameless", Self::Blameless),
        ("deaf", Self::Deaf),
    ];
}
