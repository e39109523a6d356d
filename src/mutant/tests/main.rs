//! Tests of the planted bugs themselves: that ordinary builds have none, and that each is where it should be.

mod absent;
mod places;
