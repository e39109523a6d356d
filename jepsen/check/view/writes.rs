//! Writes of messages, with all attempts at one write together.

use std::collections::{HashMap, HashSet};

use crate::history::{Answer, History, MessageId, Op, Operation, Outcome, Producer};

/// What is known of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was acknowledged.
    Done,
    /// Nobody knows.
    Unknown,
    /// Every attempt was refused: it was never done.
    Refused,
}

/// One batch of messages. Attempts that carry the same messages are retries of one write.
#[derive(Debug)]
pub(crate) struct Write<'h> {
    pub(crate) stream: &'h str,
    pub(crate) messages: &'h [MessageId],
    pub(crate) producer: Option<&'h Producer>,
    pub(crate) attempts: Vec<&'h Operation>,
    pub(crate) fate: Fate,
    /// It cannot have taken effect before this.
    pub(crate) from_ns: u64,
    /// It had taken effect by then; [`u64::MAX`] if that is not known.
    pub(crate) by_ns: u64,
    /// The offset after it, if an answer that was no duplicate gave it.
    pub(crate) end: Option<u64>,
    /// The invoke whose answer acknowledged it; else the first invoke.
    pub(crate) index: u64,
}

impl Write<'_> {
    /// The invokes of all attempts.
    pub(crate) fn events(&self) -> Vec<u64> {
        self.attempts.iter().map(|attempt| attempt.index).collect()
    }
}

/// All writes, and which one each message belongs to, with its place in the batch.
pub(crate) fn gather(history: &History) -> (Vec<Write<'_>>, HashMap<MessageId, (usize, usize)>) {
    let mut writes: Vec<Write<'_>> = Vec::new();
    let mut written: HashMap<MessageId, (usize, usize)> = HashMap::new();
    for operation in &history.operations {
        let Some((messages, producer)) = payload(&operation.op) else {
            continue;
        };
        let known = written.get(&messages[0]).map(|(write, _)| *write);
        if let Some(write) = known.filter(|write| writes[*write].messages == messages) {
            writes[write].attempts.push(operation);
            continue;
        }
        for (place, message) in messages.iter().enumerate() {
            written.insert(*message, (writes.len(), place));
        }
        writes.push(Write {
            stream: operation.op.stream(),
            messages,
            producer,
            attempts: vec![operation],
            fate: Fate::Refused,
            from_ns: u64::MAX,
            by_ns: u64::MAX,
            end: None,
            index: operation.index,
        });
    }
    let reused = reused(history);
    for write in &mut writes {
        let is_reused = write
            .producer
            .is_some_and(|producer| reused.contains(&(write.stream, producer)));
        write.judge(is_reused);
    }
    (writes, written)
}

/// The tuples under which different writes were sent to one stream: `duplicate` does not say of which then.
fn reused(history: &History) -> HashSet<(&str, &Producer)> {
    let mut first: HashMap<(&str, &Producer), &[MessageId]> = HashMap::new();
    let mut reused = HashSet::new();
    for operation in &history.operations {
        let (producer, messages) = match &operation.op {
            Op::Append {
                producer: Some(producer),
                messages,
                ..
            } => (producer, messages.as_slice()),
            Op::Close {
                producer: Some(producer),
                ..
            } => (producer, [].as_slice()),
            _ => continue,
        };
        let tuple = (operation.op.stream(), producer);
        if *first.entry(tuple).or_insert(messages) != messages {
            reused.insert(tuple);
        }
    }
    reused
}

/// The messages that an operation would append; `None` if it appends none.
fn payload(op: &Op) -> Option<(&[MessageId], Option<&Producer>)> {
    let (messages, producer) = match op {
        Op::Create { messages, .. } => (messages, None),
        Op::Append { messages, producer, .. } => (messages, producer.as_ref()),
        _ => return None,
    };
    (!messages.is_empty()).then_some((messages, producer))
}

/// Whether this attempt is the one that stored the messages, according to its answer.
pub(crate) fn stored(operation: &Operation, answer: &Answer) -> bool {
    match operation.op {
        // 200: the stream was there already, and the body was not looked at.
        Op::Create { .. } => answer.status == 201,
        _ => !answer.duplicate,
    }
}

impl Write<'_> {
    fn judge(&mut self, is_reused: bool) {
        for attempt in &self.attempts {
            match &attempt.outcome {
                Outcome::Ok(answer) if stored(attempt, answer) => {
                    self.fate = Fate::Done;
                    self.from_ns = attempt.invoke_ns;
                    self.by_ns = attempt.return_ns;
                    self.end = answer.next;
                    self.index = attempt.index;
                    // It was this attempt: what the others do is for the exactly-once checker.
                    return;
                }
                Outcome::Ok(answer) if answer.duplicate && !is_reused => {
                    if self.fate != Fate::Done {
                        self.index = attempt.index;
                    }
                    self.fate = Fate::Done;
                    self.from_ns = self.from_ns.min(attempt.invoke_ns);
                    self.by_ns = self.by_ns.min(attempt.return_ns);
                }
                Outcome::Info(_) | Outcome::Ok(Answer { duplicate: true, .. }) => {
                    if self.fate == Fate::Refused {
                        self.fate = Fate::Unknown;
                    }
                    self.from_ns = self.from_ns.min(attempt.invoke_ns);
                }
                Outcome::Ok(_) | Outcome::Fail(_) => {}
            }
        }
    }
}
