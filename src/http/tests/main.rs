//! Tests of the front end over a small in-memory `Streams`: through the whole front end, and over real sockets.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod append;
mod broadcast;
mod compress;
mod create;
mod edge;
mod fake;
mod fan_out;
mod faults;
mod head;
mod list;
mod long_poll;
mod outflow;
mod read;
mod settings;
mod shutdown;
mod slow;
mod socket;
mod sse;
mod sse_text;
mod support;
mod wire;
