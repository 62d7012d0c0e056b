#![doc = include_str!("../README.md")]

pub mod cells;
pub mod cli;
pub mod context;
pub mod data;
mod events;
pub mod failure;
pub mod figure;
pub mod files;
pub mod folder;
pub mod interrupt;
pub mod progress;
pub mod registry;
pub mod report;
pub mod runs;
pub mod spec;
