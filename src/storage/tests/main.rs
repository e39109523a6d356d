//! One behaviour suite for every backend, a comparison with a model, and what only stores on disk must survive.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod append;
mod batches;
mod between;
mod crash;
mod create;
mod deletes;
mod expiry;
mod forks;
mod keeping;
mod lists;
mod model;
mod producers;
mod reads;
mod recovery;
mod support;

/// Runs each of the named functions once per backend, with an empty store.
#[macro_export]
macro_rules! suite {
    ($($test:ident),* $(,)?) => {
        mod memory {
            $(#[test] fn $test() { super::$test(&mut $crate::support::Store::new($crate::support::Kind::Memory)); })*
        }
        mod file {
            $(#[test] fn $test() { super::$test(&mut $crate::support::Store::new($crate::support::Kind::File)); })*
        }
        mod redb {
            $(#[test] fn $test() { super::$test(&mut $crate::support::Store::new($crate::support::Kind::Redb)); })*
        }
    };
}
