//! A lake in an object store: its log is read and written there, its data through copies on this disk.
//!
//! Data files never change under their names, so that a copy is as good as the object. Whoever opens a file that is not
//! here has it fetched first; staged files are written here, and uploaded before the commit that names them. For a lake
//! that is a folder, everything here is a path and nothing more. Landing folders in object stores have copies as well. Called by tables and by what reads and writes their files.

mod buckets;
mod client;
mod counted;
mod disk;
mod fault;
#[cfg(test)]
pub(crate) mod faulty;
mod heads;
mod identity;
mod log_store;
#[cfg(test)]
mod lost;
mod misset;
mod opening;
mod page;
mod room;
mod store;

pub(crate) use buckets::Buckets;
pub(crate) use client::connect;
pub(crate) use disk::{Disk, LakeFile};
pub(crate) use fault::{StoreFault, of as fault_of};
pub(crate) use heads::Heads;
pub(crate) use identity::Identity;
pub(crate) use log_store::register;
pub(crate) use opening::Opening;
pub(crate) use room::age_of;
pub(crate) use store::Remote;
