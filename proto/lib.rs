//! What Weir's nodes say to each other, and what they write into their logs.
//!
//! | file | what it holds |
//! |---|---|
//! | `entry.proto` | the commands of a log entry, and their answers |
//! | `raft.proto` | Raft's messages and its log records |
//! | `peer.proto` | frames between two nodes |
//! | `control.proto` | nodes, membership, the meta group |
//!
//! Fields are only ever added; a number is never used twice.

#![allow(missing_docs, reason = "generated code is documented in the .proto files")]

/// The commands of a log entry, and their answers.
pub mod entry {
    tonic::include_proto!("weir.entry");
}

/// Raft's messages and log records.
pub mod raft {
    tonic::include_proto!("weir.raft");
}

/// Frames between two nodes.
pub mod peer {
    tonic::include_proto!("weir.peer");
}

/// Nodes, membership, the meta group.
pub mod control {
    tonic::include_proto!("weir.control");
}
