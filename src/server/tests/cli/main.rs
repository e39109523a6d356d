//! The real binary: its command line, its client against its server, its ends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod bench;
mod client;
mod cluster;
mod config;
mod ends;
mod grow;
mod many;
mod orders;
mod serve;
mod support;
mod tail;
