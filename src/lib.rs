#![doc = include_str!("ARCHITECTURE.md")]

pub mod tuple;

pub mod condition;

pub mod schema;

pub mod storage;

pub mod eval;

pub mod analysis;

pub mod engine;

pub mod bulk;

pub mod api;

pub mod cli;
