//! The real binary: its command line, its client against its server, its ends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod client;
mod config;
mod ends;
mod support;
mod tail;
