//! A history arranged for checkers: writes by message, streams, and the order of messages that the reads show.

mod order;
mod segment;
mod writes;

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::history::{History, MessageId, Op, Operation, Outcome};

pub(crate) use order::Order;
pub(crate) use segment::{Kind, Segment};
pub(crate) use writes::{Fate, Write, stored};

/// The history, arranged. Everything borrows from it.
pub(crate) struct View<'h> {
    pub(crate) history: &'h History,
    /// Every write of messages; retries of one write are one.
    pub(crate) writes: Vec<Write<'h>>,
    /// Which write a message belongs to, and its place in the batch.
    pub(crate) written: HashMap<MessageId, (usize, usize)>,
    /// The streams, by name.
    pub(crate) streams: BTreeMap<&'h str, Stream<'h>>,
}

/// One name, over all its lives.
pub(crate) struct Stream<'h> {
    pub(crate) name: &'h str,
    /// What was asked of it, by invoke.
    pub(crate) operations: Vec<&'h Operation>,
    /// Its writes: places in [`View::writes`].
    pub(crate) writes: Vec<usize>,
    /// Whether nothing can have ended its life: no delete was invoked, and it has no TTL.
    pub(crate) one_life: bool,
    /// Forks that may have made it.
    pub(crate) forks: Vec<&'h Operation>,
    /// What was read of it.
    pub(crate) segments: Vec<Segment<'h>>,
    /// The order of messages, by life (`""` if it has one only).
    pub(crate) orders: BTreeMap<&'h str, Order>,
}

impl<'h> View<'h> {
    pub(crate) fn new(history: &'h History) -> Self {
        let mut streams: BTreeMap<&str, Stream<'_>> = BTreeMap::new();
        for operation in &history.operations {
            let name = operation.op.stream();
            let stream = streams.entry(name).or_insert_with(|| Stream::new(name));
            stream.take(operation);
        }
        let (writes, written) = writes::gather(history);
        for (place, write) in writes.iter().enumerate() {
            if let Some(stream) = streams.get_mut(write.stream) {
                stream.writes.push(place);
            }
        }
        for stream in streams.values_mut() {
            stream.arrange(&writes);
        }
        Self {
            history,
            writes,
            written,
            streams,
        }
    }

    /// The write that made `message`.
    pub(crate) fn write_of(&self, message: MessageId) -> Option<&Write<'h>> {
        self.written.get(&message).map(|(place, _)| &self.writes[*place])
    }

    /// The stream and all that it may be forked from, over any number of steps.
    pub(crate) fn ancestors(&self, stream: &Stream<'h>) -> HashSet<&'h str> {
        let mut found = HashSet::from([stream.name]);
        let mut next = vec![stream.name];
        while let Some(name) = next.pop() {
            for fork in self.streams.get(name).iter().flat_map(|stream| &stream.forks) {
                if let Op::Fork { source, .. } = &fork.op
                    && found.insert(source)
                {
                    next.push(source);
                }
            }
        }
        found
    }

    /// The last final read of each node, per stream.
    pub(crate) fn final_reads<'v>(&'v self, stream: &'v Stream<'h>) -> BTreeMap<u32, &'v Segment<'h>> {
        let finals = stream.segments.iter().filter(|segment| segment.kind == Kind::Final);
        let mut last = BTreeMap::new();
        for segment in finals {
            if let Some(node) = segment.operation.node {
                last.insert(node, segment);
            }
        }
        last
    }
}

impl<'h> Stream<'h> {
    fn new(name: &'h str) -> Self {
        Self {
            name,
            operations: Vec::new(),
            writes: Vec::new(),
            one_life: true,
            forks: Vec::new(),
            segments: Vec::new(),
            orders: BTreeMap::new(),
        }
    }

    fn take(&mut self, operation: &'h Operation) {
        self.operations.push(operation);
        let refused = matches!(operation.outcome, Outcome::Fail(_));
        match &operation.op {
            Op::Delete { .. } | Op::Create { ttl_ms: Some(_), .. } | Op::Fork { ttl_ms: Some(_), .. } if !refused => {
                self.one_life = false;
            }
            _ => {}
        }
        if matches!(operation.op, Op::Fork { .. }) && !refused {
            self.forks.push(operation);
        }
        self.segments.extend(Segment::of(operation));
    }

    fn arrange(&mut self, writes: &[Write<'h>]) {
        let mut lives: BTreeMap<&'h str, Vec<&Segment<'h>>> = BTreeMap::new();
        for segment in &self.segments {
            let life = if self.one_life { Some("") } else { segment.life };
            if let Some(life) = life {
                lives.entry(life).or_default().push(segment);
            }
        }
        let end = |write: &Write<'_>| Some((*write.messages.last()?, write.end?, write.index));
        let ends: Vec<_> = self.writes.iter().filter_map(|write| end(&writes[*write])).collect();
        let build = |(life, segments)| (life, Order::build(segments, &ends));
        self.orders = lives.into_iter().map(build).collect();
    }

    /// The order that a segment belongs to.
    pub(crate) fn order_of(&self, segment: &Segment<'_>) -> Option<&Order> {
        let life = if self.one_life { Some("") } else { segment.life };
        life.and_then(|life| self.orders.get(life))
    }
}
