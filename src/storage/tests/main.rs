//! One behaviour suite for every backend, a comparison with a model, and what only stores on disk must survive.

mod crash;
mod create;
mod model;
mod support;

/// Runs each of the named functions once per backend, with an empty store, and once more with the store closed and
/// opened again before every check that the function makes through [`support::Store::reopen`].
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
