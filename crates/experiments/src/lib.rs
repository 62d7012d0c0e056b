#![doc = include_str!("../README.md")]

pub mod data;
pub mod files;
pub mod spec;
