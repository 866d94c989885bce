//! The runbooks of `docs/runbooks/`: what they have to look like, and the documentation that is made from them.

mod derived;
mod page;

pub use derived::{derived, write};
pub use page::{FOLDER, Page, is_code, read};
