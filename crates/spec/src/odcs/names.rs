//! Names that columns of a contract can have. Called where contracts are read, and where they are proposed.

/// Columns that bronze adds itself.
pub(crate) const RESERVED: [&str; 6] = ["_event_id", "_object", "_position", "_received_at", "_run_id", "_rescued"];
/// Signs that Delta allows in no name of a column.
pub(crate) const NO_NAME: &str = " ,;{}()=\"`";
const LONGEST_BYTES: usize = 255;

/// Whether a table can have a column of that name.
pub(crate) fn can_name(name: &str) -> bool {
    name.len() <= LONGEST_BYTES && !name.contains(|c: char| c.is_control() || NO_NAME.contains(c))
}
