//! Runs of real processes that guard every change: a valid run of each kind, and that nothing is left behind.
//!
//! | file | what it holds |
//! |---|---|
//! | `ci` | the profile `ci` |
//! | `leftovers` | runs that are interrupted at any moment, and what is left of them |
//! | `programs` | which programs are tested |
//!
//! They take the machine for themselves: cargo runs test programs one after the other, and a lock does the same here.

#[cfg(test)]
mod ci;
#[cfg(test)]
mod leftovers;
#[cfg(test)]
mod programs;
