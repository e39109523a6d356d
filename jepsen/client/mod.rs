//! A client of the protocol that classes outcomes truthfully: what it cannot prove it does not claim.
//!
//! | file | what it holds |
//! |---|---|
//! | `connect` | how nodes are reached |
//! | `http` | one connection, one request at a time |
//! | `payload` | messages as bytes, and back |
//! | `perform` | one operation of a history as a request, and its answer |
//! | `live` | long-poll and SSE |
//! | `sse` | the event stream's format |
//! | `final_reads` | every stream on every node, at last |

mod connect;
pub(crate) mod final_reads;
pub(crate) mod http;
pub(crate) mod live;
pub(crate) mod payload;
pub(crate) mod perform;
pub(crate) mod sse;

pub(crate) use connect::Tcp;
pub use connect::{Connect, Connecting, Connection};
pub use final_reads::read_all;
