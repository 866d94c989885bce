//! Files that somebody drops into a folder, on a disk or in an object store.
//!
//! Called through [`FileLanding`]. Nothing here writes, moves or deletes a file in a landing folder, and nothing but a
//! regular file is ever opened. What was pushed is laid down in a folder of the lake.

mod age;
mod bucket;
mod error;
mod hash;
mod landing;
mod lay_down;
mod named;
mod refusal;
mod touched;
mod walk;
mod watch;

pub use error::FilesError;
pub use landing::FileLanding;
pub use named::{Named, named, reads};
pub use touched::FileWatch;
pub use watch::{FolderWatch, Unwatched};
