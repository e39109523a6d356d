//! What a run records, and all that a checker sees.
//!
//! A history is a file of JSON lines. The first line is the [`Run`] (`{"run":{...}}`); every other line is an [`Event`]:
//!
//! ```json
//! {"index":7,"time_ns":1500000,"process":3,"node":1,"phase":"invoke","f":"append","value":{"stream":"q0","messages":[[3,0],[3,1]]}}
//! {"index":9,"time_ns":1900000,"process":3,"node":1,"phase":"ok","f":"append","of":7,"value":{"status":200,"next":84}}
//! {"index":12,"time_ns":2000000,"process":"nemesis","phase":"info","f":"fault","value":{"id":1,"name":"kill","stage":"begin","targets":["n2"]}}
//! ```
//!
//! - `index` counts up by one from 0, and `time_ns` never falls: both are given under one lock. An invoke is recorded
//!   before its first byte is sent, a completion after its last byte came. Thus `completion of a < invoke of b` means
//!   that a really was over when b began.
//! - `process` is one client thread: at most one operation of it is open. A process whose operation ended unknown never
//!   invokes again; its thread goes on as a new process. [`Client`] does that by itself.
//! - `node` is the number (from 1) of the node that was asked; absent if it does not matter.
//! - `f` says what was asked ([`Op`]), or `fault` ([`Fault`]), `mark` ([`Mark`]) or `state-hash` ([`StateHash`]).
//! - A completion names its invoke in `of`. `ok` carries an [`Answer`], `fail` and `info` a [`Failure`].
//!   - `ok`: it took effect, exactly as the answer says.
//!   - `fail`: it certainly did not take effect and never will (a 4xx; a refused connection).
//!   - `info`: unknown. It may have taken effect at any time since its invoke, may do so later, or never.
//!   - An invoke without a completion is unknown, too.
//!
//! # Conventions that checkers rely on
//! - **Offsets** are positions: the number in `Stream-Next-Offset`. Text that is no such offset is recorded as
//!   [`Answer::garbage`], never mended.
//! - **Messages are unique** in a run: ([`MessageId`]: client, counter), drawn by [`Client::message`], and written into
//!   the payload. A retry of a producer's append sends the same ids under a new invoke. Bytes in an answer that are no
//!   whole payload of ours count in [`Answer::garbage`].
//! - **A life** is one life of a stream between create and delete; the part of the ETag before its first `:` names it.
//!   Streams on which no delete is ever invoked have one life.
//! - **Reads**: `start` is where the messages begin, `next` where they end. `marks` are the offsets between pages if
//!   several answers were put together.
//! - **Live**: one operation is one connection (SSE) or one poll. Whatever was received is `ok`, even if the connection
//!   was cut: `messages` are those that a control event covered, `next` is that event's offset, and `unconfirmed` are
//!   messages after the last control event. The pieces of one reader share a `session`; each goes on `from` the
//!   previous one's `next` (from its own `from`, if it got nothing).
//! - **Final reads** come after the mark `healed`, for every stream on every node: page after page until
//!   `Stream-Up-To-Date`, with `consistency` eventual, so that it is the replica's own copy that is seen.
//!   The harness repeats them until the tail is the strong one or the liveness limit is over; the last one of each node
//!   counts.
//! - **Duplicates**: `duplicate` is set for a 204 to a write with producer headers and a body. To a close without a body
//!   the server answers 204 in any case, so it stays unset there.
//! - **Faults** come in pairs of the same `id`: `begin` and `end`. The `end` (or the `begin`, if it is a single blow)
//!   says in `effect` whether it did anything, and in `evidence` how that is known.

mod edn;
mod event;
mod fault;
mod op;
mod outcome;
mod reader;
mod recorder;
mod run;
#[cfg(test)]
mod tests;

pub use edn::write_edn;
pub use event::{Body, Event, Phase, Process};
pub use fault::{CRASH, Fault, Mark, Stage, StateHash};
pub use op::{Consistency, From, LiveMode, MessageId, Op, Producer};
pub use outcome::{Answer, Ended, Failure, Outcome};
pub use reader::{History, HistoryError, Operation};
pub use recorder::{Client, Clock, Pending, Recorder};
pub use run::{Limits, LogFile, Run};
