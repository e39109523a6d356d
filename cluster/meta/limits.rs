//! Every limit of the control plane.

/// Slots that stream names hash onto. Never changes.
pub const SLOTS: u16 = 4096;

/// Most groups of a cluster, the meta group not counted: each has four slots at least.
pub const MAX_GROUPS: u64 = 1024;

/// Most replicas of a group.
pub const MAX_REPLICATION_FACTOR: u32 = 7;

/// Most nodes that were not removed.
pub const MAX_NODES: usize = 1000;

/// The longest address, in bytes: a DNS name of 255 bytes, a colon and a port.
pub const MAX_ADDRESS_BYTES: usize = 261;

/// The longest zone name, in bytes (that of a Kubernetes label value).
pub const MAX_ZONE_BYTES: usize = 63;
