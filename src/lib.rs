#![doc = include_str!("ARCHITECTURE.md")]

pub mod storage;
pub mod tuple;
