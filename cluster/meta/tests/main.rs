//! The control plane's rules: examples, pinned values, and properties over random histories.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod apply;
mod commands;
mod encode;
mod history;
mod ids;
mod placement;
mod plan;
mod slots;
mod support;
