//! A replica's log, in the node's journal.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::vote::RaftLeaderId as _;
use openraft::{EntryPayload, OptionalSend, RaftLogReader};
use prost::Message as _;
use tokio::sync::oneshot;
use weir_journal::{Callback, Journal, ReadError, ReplicaKey, SubmitError};
use weir_mutant::Mutant;
use weir_proto::raft as pb;

use super::encode;
use super::types::{Entry, LeaderId, LogId, Member, Membership, TypeConfig, Vote};
use crate::blocking::blocking;

/// The most payload bytes that a reader takes out of the log at once.
const MAX_READ_BYTES: u64 = 4 * 1024 * 1024;

/// How long an append waits before it looks for space again.
const SPACE_PAUSE: Duration = Duration::from_millis(100);

/// The pause before entries are given to a journal again whose queue had no room for them: the disk is busy with 32 MiB.
const ROOM_PAUSE: Duration = Duration::from_millis(2);

/// One replica's part of the journal.
#[derive(Clone)]
pub(super) struct LogStore {
    journal: Arc<Journal>,
    key: ReplicaKey,
}

impl LogStore {
    pub(super) fn new(journal: Arc<Journal>, key: ReplicaKey) -> Self {
        Self { journal, key }
    }

    fn log_id(&self, id: weir_journal::LogId) -> LogId {
        LogId::new(LeaderId::new(id.leader.term, id.leader.node), id.index)
    }

    async fn read(&self, range: std::ops::Range<u64>, max_bytes: u64) -> Result<Vec<Entry>, io::Error> {
        let cached = self.journal.read_cached(self.key, range.clone(), max_bytes);
        let entries = match cached.map_err(read_error)? {
            Some(entries) => entries,
            None => {
                let (journal, key) = (Arc::clone(&self.journal), self.key);
                let read = blocking(move || journal.read(key, range, max_bytes));
                read.await?.map_err(read_error)?
            }
        };
        let entry = |entry: weir_journal::Entry| {
            Ok(Entry {
                log_id: self.log_id(entry.id),
                payload: encode::payload_from_bytes(entry.payload)?,
            })
        };
        entries.into_iter().map(entry).collect()
    }

    /// The index after which the log begins, and the last one in it.
    pub(super) fn bounds(&self) -> (u64, u64) {
        let state = self.journal.state(self.key);
        let index = |id: Option<weir_journal::LogId>| id.map_or(0, |id| id.index);
        let begin = index(state.last_purged);
        (begin, begin.max(index(state.last)))
    }

    /// Puts the first entry into a log that has none: the members, by replica, with which the group begins. It is the same
    /// entry in each of their logs, so that none of them depends on another one to know whom to ask for a vote.
    pub(super) async fn begin(&self, members: &BTreeMap<u64, u64>) -> Result<(), io::Error> {
        let is_empty = self.journal.state(self.key).last.is_none();
        let Some(first) = members.keys().next().filter(|_| is_empty) else {
            return Ok(());
        };
        let nodes: BTreeMap<u64, Member> = members.iter().map(|(id, node)| (*id, Member { node: *node })).collect();
        let membership = Membership::new(vec![members.keys().copied().collect()], nodes);
        let membership = membership.map_err(io::Error::other)?;
        let entry = weir_journal::Entry {
            // A term before the first: whoever is elected has a later one.
            id: weir_journal::LogId::new(0, *first, 0),
            payload: encode::payload_to_bytes(EntryPayload::Membership(membership)),
        };
        self.submit(vec![entry], &Flushed::default()).await?;
        self.barrier().await
    }

    /// Waits until everything submitted so far is durable.
    pub(super) async fn barrier(&self) -> Result<(), io::Error> {
        let (done, durable) = callback();
        self.journal.barrier(self.key, done).map_err(submit_error)?;
        durable.await
    }
}

fn journal_id(log_id: &LogId) -> weir_journal::LogId {
    weir_journal::LogId::new(log_id.leader_id.term(), *log_id.leader_id.node_id(), log_id.index)
}

fn read_error(error: ReadError) -> io::Error {
    io::Error::other(error)
}

fn submit_error(error: SubmitError) -> io::Error {
    match error {
        SubmitError::StorageFull => io::Error::new(io::ErrorKind::StorageFull, error),
        error => io::Error::other(error),
    }
}

/// A callback for the journal, and the wait for it.
fn callback() -> (Callback, impl Future<Output = Result<(), io::Error>>) {
    let (sender, receiver) = oneshot::channel();
    let done: Callback = Box::new(move |result| {
        let _ = sender.send(result);
    });
    let wait = async move {
        match receiver.await {
            Ok(result) => result.map_err(io::Error::other),
            Err(_) => Err(io::Error::other("the journal stopped")),
        }
    };
    (done, wait)
}

/// A callback for something that nobody waits for: whatever comes later in the log tells how it went.
fn ignored() -> Callback {
    Box::new(|_| {})
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(start) => start + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(end) => end + 1,
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        self.read(start..end, u64::MAX).await
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        self.read(start..end, MAX_READ_BYTES).await
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        let Some(bytes) = self.journal.state(self.key).vote else {
            return Ok(None);
        };
        let vote = pb::Vote::decode(bytes).map_err(encode::Malformed::from)?;
        Ok(Some(encode::vote_from_pb(Some(&vote))?))
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let state = self.journal.state(self.key);
        Ok(LogState {
            last_purged_log_id: state.last_purged.map(|id| self.log_id(id)),
            last_log_id: state.last.map(|id| self.log_id(id)),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let bytes = encode::vote_to_pb(vote).encode_to_vec();
        let (done, durable) = callback();
        self.journal
            .save_vote(self.key, bytes.into(), done)
            .map_err(submit_error)?;
        durable.await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        let committed = committed.as_ref().map(journal_id);
        self.journal.save_committed(self.key, committed).map_err(submit_error)
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(self.journal.state(self.key).committed.map(|id| self.log_id(id)))
    }

    /// Writes are refused before they are proposed when space runs low, so the disk is full here only where much was
    /// under way. Then this replica waits for space: it must not forget the entries, and need not die.
    async fn append<I>(&mut self, entries: I, done: IOFlushed<TypeConfig>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entry = |entry: Entry| weir_journal::Entry {
            id: journal_id(&entry.log_id),
            payload: encode::payload_to_bytes(entry.payload),
        };
        let mut left: Vec<weir_journal::Entry> = entries.into_iter().map(entry).collect();
        if let Some(last) = left
            .last_mut()
            .filter(|_| weir_mutant::take(Mutant::DropLastOnTruncate, self.key.group))
        {
            last.payload = encode::payload_to_bytes(EntryPayload::Blank);
        }
        while let Some(rest) = self.split(&mut left) {
            self.submit(left, &Flushed::default()).await?;
            left = rest;
        }
        self.submit(left, &Arc::new(Mutex::new(Some(done)))).await
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        let keep = last_log_id.map(|log_id| log_id.index);
        weir_mutant::mark(Mutant::DropLastOnTruncate, self.key.group);
        self.journal
            .truncate_after(self.key, keep, ignored())
            .map_err(submit_error)
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        self.journal
            .purge(self.key, journal_id(&log_id), ignored())
            .map_err(submit_error)
    }
}

/// Who is told that an append is durable; taken by the one callback that runs.
type Flushed = Arc<Mutex<Option<IOFlushed<TypeConfig>>>>;

impl LogStore {
    /// Leaves in `entries` what fits one submission and returns the rest, if there is any.
    fn split(&self, entries: &mut Vec<weir_journal::Entry>) -> Option<Vec<weir_journal::Entry>> {
        let max = self.journal.max_append_bytes();
        let mut count = 0;
        let sizes: Vec<usize> = entries.iter().map(|entry| entry.payload.len()).collect();
        while count < sizes.len() && weir_journal::append_bytes(sizes[..=count].iter().copied()) <= max {
            count += 1;
        }
        (count < entries.len() && count > 0).then(|| entries.split_off(count))
    }

    /// Submits, again and again while the disk is full.
    async fn submit(&self, entries: Vec<weir_journal::Entry>, flushed: &Flushed) -> Result<(), io::Error> {
        loop {
            let flushed = Arc::clone(flushed);
            let done: Callback = Box::new(move |result| {
                let flushed = flushed.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(flushed) = flushed {
                    flushed.io_completed(result.map_err(io::Error::other));
                }
            });
            match self.journal.append(self.key, entries.clone(), done) {
                Err(SubmitError::StorageFull) => tokio::time::sleep(SPACE_PAUSE).await,
                Err(SubmitError::Busy) => tokio::time::sleep(ROOM_PAUSE).await,
                result => return result.map_err(submit_error),
            }
        }
    }
}
