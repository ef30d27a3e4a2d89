//! OpenFGA's JSON form of a schema (its "authorization model"), both ways.

mod read;
mod write;

pub(super) use read::read;
