//! The report of a run: one page that needs nothing but itself.
//!
//! | file | what it draws |
//! |---|---|
//! | `page.html` | the page |
//! | `page` | what the page says |
//! | `canvas` | axes, faults in the background, colours |
//! | `faults` | what broke, when |
//! | `latency` | every operation's latency, and percentiles over time |
//! | `rate` | operations per second, by outcome |
//! | `fates` | what became of every write: the lost and the unknown |
//! | `operations` | single operations around an error or a fault |

mod canvas;
mod fates;
mod faults;
mod latency;
mod operations;
mod page;
mod rate;
#[cfg(test)]
mod tests;

pub use page::html;
