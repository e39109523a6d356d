//! Sizes and times that nobody may set.

use std::time::Duration;

/// Writes that may wait for one group. Beyond it they are refused.
pub(crate) const MAX_WAITING_PROPOSALS: usize = 4096;

/// The most commands in one batch.
pub(crate) const MAX_BATCH_COMMANDS: usize = 1024;

/// No further command joins a batch that has this many payload bytes.
pub(crate) const MAX_BATCH_BYTES: u64 = 8 * 1024 * 1024;

/// How often collected TTL renewals are proposed.
pub(crate) const RENEWAL_INTERVAL: Duration = Duration::from_millis(200);

/// A renewal of a stream that would end sooner than this is proposed at once, and the read waits for it.
pub(crate) const RENEWAL_URGENT_MS: u64 = 1000;

/// Renewals kept between two rounds. Beyond it a read waits for its own.
pub(crate) const MAX_WAITING_RENEWALS: usize = 16_384;

/// How often expired streams are looked for, and the store is asked what upkeep it has.
pub(crate) const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(1);

/// How long after its deadline a stream is removed at the earliest: renewals under way still arrive.
pub(crate) const EXPIRY_GRACE_MS: u64 = 2000;

/// How many expired streams one command removes.
pub(crate) const EXPIRED_PER_COMMAND: usize = 256;

/// The pause between two pieces of upkeep, so that writes get in between.
pub(crate) const UPKEEP_PAUSE: Duration = Duration::from_millis(5);
