//! Sizes and times that nobody may set.

use std::time::Duration;

/// The version of the rules by which entries are applied, and of all that nodes tell each other. Replicas that apply the same
/// entries by other rules come to hold other streams, so nodes with different ones do not talk to each other. It goes up with every change of a rule; the storage's tests
/// notice those of streams.
pub(crate) const RULES_VERSION: u32 = 1;

/// Writes that may wait for one group. Beyond it they are refused.
pub(crate) const MAX_WAITING_PROPOSALS: usize = 4096;

/// The most commands in one batch.
pub(crate) const MAX_BATCH_COMMANDS: usize = 1024;

/// No further command joins a batch that has this many payload bytes.
pub(crate) const MAX_BATCH_BYTES: u64 = 8 * 1024 * 1024;

/// What names and headers of all commands of a batch may take beside their payload.
pub(crate) const BATCH_OVERHEAD_BYTES: u64 = 4 * 1024 * 1024;

/// A replica that lacks so few entries may get a vote, or lead: it has the rest in the moment that this takes.
pub(crate) const CAUGHT_UP_ENTRIES: u64 = 500;

/// How often collected TTL renewals are proposed.
pub(crate) const RENEWAL_INTERVAL: Duration = Duration::from_millis(200);

/// A renewal of a stream that would end sooner than this is proposed at once, and the read waits for it. A group that has
/// lost its leader takes nothing for a moment; whoever reads first after that must not find a stream gone that was read
/// before it.
pub(crate) const RENEWAL_URGENT_MS: u64 = 5000;

/// Renewals kept between two rounds. Beyond it a read waits for its own.
pub(crate) const MAX_WAITING_RENEWALS: usize = 16_384;

/// How long after its deadline a stream is removed at the earliest: renewals under way still arrive.
pub(crate) const EXPIRY_GRACE_MS: u64 = 2000;

/// How many expired streams one command removes.
pub(crate) const EXPIRED_PER_COMMAND: usize = 256;

/// The pause between two pieces of upkeep, so that writes get in between.
pub(crate) const UPKEEP_PAUSE: Duration = Duration::from_millis(5);

/// How often a group's leader looks whether other groups must be told of forks that are gone.
pub(crate) const SETTLE_INTERVAL: Duration = Duration::from_secs(1);

/// In every so many-th of these rounds it looks for references without a fork.
pub(crate) const SETTLE_ROUNDS_PER_PROBE: u64 = 5;

/// Releases that are under way at a time, per group.
pub(crate) const RELEASES_PER_ROUND: usize = 64;

/// References that are looked at in one round, per group.
pub(crate) const REFERENCES_PER_ROUND: usize = 256;

/// A reference that is younger than this is not probed: its fork may just be being made.
pub(crate) const REFERENCE_PROBE_AGE_MS: u64 = 60_000;

/// Fork ids that are remembered because their forks were there.
pub(crate) const MAX_CONFIRMED_REFERENCES: usize = 65_536;

/// How long the answer to a create waits for the release of what it did not need.
pub(crate) const RELEASE_WAIT: Duration = Duration::from_secs(1);

/// How much of a source is read at a time to find where a fork leaves it.
pub(crate) const BOUNDARY_READ_BYTES: u64 = 1024 * 1024;

/// How long that may take in all.
pub(crate) const BOUNDARY_TIMEOUT: Duration = Duration::from_secs(60);

/// Up to so many messages whoever applies a fork counts them itself.
pub(crate) const NEAR_SUB_OFFSET: u64 = 1024;

/// Reads of stores that are under way at a time, on the whole node. They share their threads with what is applied, of which
/// there are 512.
pub(crate) const READS_UNDER_WAY: usize = 128;

/// Between nodes: the most bytes of one message. A log entry fits into it whole.
pub(crate) const MAX_MESSAGE_BYTES: usize = 128 * 1024 * 1024;

/// No further frame joins a message that has this many bytes.
pub(crate) const MAX_FRAMES_BYTES: usize = 1024 * 1024;

/// Bytes of all requests that wait for one link or for their answer.
pub(crate) const MAX_WAITING_FRAME_BYTES: usize = 128 * 1024 * 1024;

/// Requests of one stream that may wait to be sent, and that may be under way on the node that answers them. Beyond it they
/// are refused.
pub(crate) const MAX_FRAMES_UNDER_WAY: usize = 4096;

/// Reads of one group that may be under way to other nodes, of one kind with another. Those of a group without a leader wait
/// for one, and must leave room for those of other groups.
pub(crate) const MAX_GROUP_READS_ELSEWHERE: usize = 512;

/// The same as [`MAX_FRAMES_UNDER_WAY`], of reads: as many as sixteen groups may have under way, which is what a cluster has
/// unless somebody wants more.
pub(crate) const MAX_READS_UNDER_WAY: usize = 16 * MAX_GROUP_READS_ELSEWHERE;

/// The same of watches, which wait for most of their time and take next to nothing meanwhile.
pub(crate) const MAX_WATCHES_UNDER_WAY: usize = 65_536;

/// Refusals of one stream that may wait to be packed.
pub(crate) const MAX_WAITING_REFUSALS: usize = 256;

/// Bytes of the reads' answers of one stream that are being read or wait for the line; the same of reads that begin in another
/// group's stream, and of answers to fetches. So however slow other nodes are, each has at most three times this waiting here, and what a message that is larger than it was
/// asked for takes until it is found to be. Room for several of the largest answers.
pub(crate) const MAX_ANSWER_BYTES: u32 = 64 * 1024 * 1024;

/// How long an answer waits for room. Much less than whoever asked waits for the answer: what comes late is not wanted any
/// more, and takes the room of others.
pub(crate) const ROOM_TIMEOUT: Duration = Duration::from_millis(2500);

/// What an answer is taken to have beside its payload and an eighth of that; what has more asks for more.
pub(crate) const ANSWER_OVERHEAD_BYTES: u64 = 4096;

/// About what one stream takes in a list.
pub(crate) const LISTED_BYTES: u64 = 256;

/// How long connecting to a node may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a link rests after it broke.
pub(crate) const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// How often a silent connection between nodes is probed, and after how long without an answer it is given up.
pub(crate) const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(2);
/// See [`KEEP_ALIVE_INTERVAL`].
pub(crate) const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(4);

/// Batches of one group that may be under way from this node. Enough that hardly a write waits for those before it: the
/// journal and Raft put together what comes meanwhile anyway. With 2, eight writers are a sixth slower.
pub(crate) const BATCHES_UNDER_WAY: usize = 8;

/// The same while they have [`MAX_BATCH_BYTES`] or more together: then more of them would only take memory.
pub(crate) const LARGE_BATCHES_UNDER_WAY: usize = 2;

/// How long a write may take in all, attempts with several leaders included.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(15);

/// How long one attempt to have the meta group do something may take before another one is made. Its commands are few and
/// small. A batch of writes is not sent again while the same replica leads, which has it in its log: where that takes long,
/// doing it twice takes longer.
pub(crate) const COMMAND_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// How often whoever waits for a leader's answer looks whether another one leads meanwhile.
pub(crate) const LEADER_CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// How long a read waits for a leader to confirm that it would be up to date.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads that may wait for one group's next round.
pub(crate) const MAX_WAITING_READS: usize = 65_536;

/// The pause before a leader is asked again.
pub(crate) const LEADER_PAUSE: Duration = Duration::from_millis(50);

/// How long a node waits for another node's streams to change before it asks anew.
pub(crate) const WAIT_TIMEOUT: Duration = Duration::from_secs(20);

/// How often a group looks after itself.
pub(crate) const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(1);

/// After how many rounds of that applied writes are written to the stores, unless they are many before. The journal has
/// them already, so this only bounds how much of it is replayed after a crash, and how much memory they take until then.
pub(crate) const CHECKPOINT_EVERY: u64 = 4;

/// After how many rounds a group to which nothing was written is looked after all the same: space may have been freed, and
/// a replica that lagged may have come up.
pub(crate) const LOOK_ANYWAY_EVERY: u64 = 16;

/// The journal's cache of recent entries, in bytes, for all groups: what is on its way to be applied and to followers. A
/// follower that lags further reads what is in the system's cache.
pub(crate) const JOURNAL_CACHE_BYTES: u64 = 16 * 1024 * 1024;
