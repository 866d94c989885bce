//! Files that somebody drops into a folder.
//!
//! Called through [`FileLanding`]. Nothing here writes, moves or deletes a file, and nothing but a regular file is
//! ever opened.

mod age;
mod error;
mod hash;
mod landing;
mod refusal;
mod walk;
mod watch;

pub use error::FilesError;
pub use landing::FileLanding;
pub use watch::{FolderWatch, Unwatched};
