//! The methods, one a file, named by the field's terms.

pub mod statistics;
