//! Everything around the flow, made of memory: an engine, a landing zone and time.

mod engine;
mod faults;
mod landing;
mod ticks;
mod world;

pub use engine::Stage;
pub use landing::Folder;
pub use world::World;
