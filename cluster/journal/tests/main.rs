//! Tests of the journal, on a simulated disk that loses power and on the real one.

#![allow(clippy::unwrap_used, reason = "a test fails where it finds the unexpected")]

mod alone;
mod crash;
mod damage;
mod model;
mod reads;
mod rng;
mod segments;
mod sim;
mod space;
mod support;
mod threads;
