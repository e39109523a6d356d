//! Property tests of the protocol's rules, with examples for the tables of the specification: one module per source
//! file. `streams` is a trait without logic and has none.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod content_type;
mod cursor;
mod error;
mod etag;
mod headers;
mod json;
mod lifetime;
mod name;
mod offset;
mod operation;
mod payload;
mod producer;
mod sse;
mod stream_seq;
mod time;
