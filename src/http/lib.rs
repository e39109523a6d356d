//! Weir's HTTP front end: the Durable Streams protocol over axum, on top of the trait [`weir_protocol::Streams`].
//!
//! | file | what it holds |
//! |---|---|
//! | `front_end` | all of it as one service, with the short way for appends |
//! | `router` | the routes |
//! | `serve` | HTTP/1.1 and HTTP/2 on one port, and the graceful end |
//! | `guarded_io` | a connection, with deadlines that hyper does not have: the first bytes, and a stalled reader |
//! | `shutdown` | the signal that ends live reads and the server |
//! | `settings` | what an operator may set |
//! | `limits` | what nobody may set |
//! | `app` | what every handler shares |
//! | `create`, `append`, `delete`, `head`, `read`, `list` | one file per operation |
//! | `live/long_poll`, `live/sse` | the live modes of `read` |
//! | `live/hub` | reads and encodings shared by everybody who waits on one stream |
//! | `live/broadcast`, `live/lane` | many SSE clients of one stream served by one task, past hyper |
//! | `live/text` | where text may be cut into events |
//! | `answer` | a read's result as a response: caching, entity tag, the protocol's headers |
//! | `request` | names, headers and query parameters, parsed strictly |
//! | `framing` | a body as messages of its content type |
//! | `body` | receiving a body under a limit, a deadline and a budget |
//! | `budget` | memory that many requests take together |
//! | `outflow` | how much of the answers is in memory, and whether their clients take them |
//! | `chunks` | sending stored bytes without copying them |
//! | `problem` | every error answer: status, stable type, headers |
//! | `reserved` | the `__ds` control paths, which are not served |
//! | `edge` | what every request passes: limits, CORS, security headers, metrics, the span |
//! | `meters` | what is measured of every request |
//! | `compression` | which answers may be compressed |
//!
//! Invariants:
//! - A request reaches [`weir_protocol::Streams`] only when all of it was understood and its body arrived whole.
//! - Every answer passes `edge`, so every answer has the CORS and security headers.
//! - A live read watches before it reads, so no append falls between; it never promises more than it has read.
//! - An event is encoded once for all who wait at the same offset; what is kept for that is bounded over all streams.
//! - Bodies and answers in memory are counted, and bounded over all requests, but for the small ones.
//! - Nothing is kept per stream when nobody waits on it.

mod answer;
mod app;
mod append;
mod body;
mod budget;
mod chunks;
mod compression;
mod create;
mod delete;
mod edge;
mod framing;
mod front_end;
mod guarded_io;
mod head;
mod limits;
mod list;
mod live;
mod meters;
mod outflow;
mod problem;
mod read;
mod request;
mod reserved;
mod router;
mod serve;
mod settings;
mod shutdown;

pub use front_end::FrontEnd;
pub use limits::STALL_TIMEOUT;
pub use router::STREAM_ROOT;
pub use serve::{ConnectionLimits, serve};
pub use settings::{Settings, SettingsError};
pub use shutdown::{ShutdownSignal, Trigger};
