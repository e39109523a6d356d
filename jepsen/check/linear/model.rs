//! What a stream is: the sequential model.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use super::super::view::Stream;
use crate::history::{Answer, Consistency, Failure, From, MessageId, Op, Operation, Outcome, Producer};

/// A name: no stream, or one.
pub(crate) type State = Option<Rc<Life>>;

/// A stream in one life.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Life {
    messages: Vec<MessageId>,
    /// Known once an answer gave it since the last change.
    tail: Option<u64>,
    /// The last tail known: the present one is not below it.
    floor: u64,
    closed: bool,
    closed_by: Option<Producer>,
    producers: BTreeMap<String, (u64, u64)>,
}

/// One operation, for the search.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'h> {
    pub(crate) index: u64,
    pub(crate) invoke_ns: u64,
    /// [`u64::MAX`]: it may take effect at any later time, or never.
    pub(crate) return_ns: u64,
    op: &'h Op,
    answer: Option<&'h Answer>,
    refusal: Option<&'h Failure>,
}

impl<'h> Call<'h> {
    /// The operations on a stream that say or do anything, by invoke.
    pub(crate) fn of(stream: &Stream<'h>) -> Vec<Self> {
        stream
            .operations
            .iter()
            .filter_map(|operation| Self::new(operation))
            .collect()
    }

    pub(crate) fn new(operation: &'h Operation) -> Option<Self> {
        let strong = match &operation.op {
            Op::Read { consistency, .. } => *consistency == Consistency::Strong,
            Op::Live { .. } | Op::FinalRead { .. } | Op::Fork { .. } => false,
            _ => true,
        };
        let changes = !matches!(operation.op, Op::Read { .. } | Op::Head { .. });
        let (answer, refusal) = match &operation.outcome {
            Outcome::Ok(answer) => (Some(answer), None),
            Outcome::Fail(failure) => (None, Some(failure)),
            Outcome::Info(_) => (None, None),
        };
        let tells = answer.is_some() || refusal.is_some_and(is_telling) || (refusal.is_none() && changes);
        (strong && tells).then_some(Self {
            index: operation.index,
            invoke_ns: operation.invoke_ns,
            return_ns: operation.return_ns,
            op: &operation.op,
            answer,
            refusal,
        })
    }

    /// Whether it must be in the linearization.
    pub(crate) const fn is_certain(&self) -> bool {
        self.answer.is_some() || self.refusal.is_some()
    }

    /// The state after it, if it fits in `state`. Without an answer it does what it would do.
    pub(crate) fn apply(&self, state: &State) -> Option<State> {
        match self.refusal {
            Some(refusal) => self.refused(state, refusal).then(|| state.clone()),
            None => self.done(state),
        }
    }

    fn done(&self, state: &State) -> Option<State> {
        match self.op {
            Op::Create { messages, close, .. } => self.create(state, messages, *close),
            Op::Delete { .. } => state.is_some().then_some(None),
            Op::Append {
                messages,
                producer,
                close,
                ..
            } => self.append(state.as_deref()?, messages, producer.as_ref(), *close),
            Op::Close { producer, .. } => self.append(state.as_deref()?, &[], producer.as_ref(), true),
            Op::Head { .. } => {
                let answer = self.answer?;
                let life = state.as_deref()?;
                (life.closed == answer.closed).then_some(())?;
                Some(Some(Rc::new(life.clone().at(answer.next)?)))
            }
            Op::Read { from, .. } => read(state.as_deref()?, *from, self.answer?),
            Op::Live { .. } | Op::Fork { .. } | Op::FinalRead { .. } => None,
        }
    }

    fn create(&self, state: &State, messages: &[MessageId], close: bool) -> Option<State> {
        let is_new = self.answer.map(|answer| answer.status == 201);
        match (state, is_new) {
            (None, None | Some(true)) => {
                let life = Life {
                    messages: messages.to_vec(),
                    closed: close,
                    ..Life::default()
                };
                Some(Some(Rc::new(life.at(self.answer.and_then(|answer| answer.next))?)))
            }
            (Some(life), Some(false)) if life.closed == close => {
                let life = Life::clone(life);
                Some(Some(Rc::new(life.at(self.answer.and_then(|answer| answer.next))?)))
            }
            _ => None,
        }
    }

    fn append(&self, life: &Life, messages: &[MessageId], producer: Option<&Producer>, close: bool) -> Option<State> {
        let next = self.answer.and_then(|answer| answer.next);
        let is_new = match self.op {
            // A close answers alike, new or not.
            Op::Close { .. } => None,
            _ => self.answer.map(|answer| !answer.duplicate),
        };
        let mut life = life.clone();
        if life.closed {
            // A plain close may come again, and the very write that closed it.
            let again = match producer {
                None => messages.is_empty(),
                Some(_) => life.closed_by.as_ref() == producer,
            };
            return (again && close && is_new != Some(true)).then_some(Some(Rc::new(life.at(next)?)));
        }
        match producer.map(|producer| (producer, life.takes(producer))) {
            None | Some((_, Taken::New)) if is_new == Some(false) => return None,
            None => {}
            Some((producer, Taken::New)) => {
                life.producers
                    .insert(producer.id.clone(), (producer.epoch, producer.seq));
            }
            Some((_, Taken::Again)) => {
                return (is_new != Some(true)).then_some(Some(Rc::new(life.at(next)?)));
            }
            Some((_, Taken::Fenced | Taken::Gap(_) | Taken::NotFromZero)) => return None,
        }
        if !messages.is_empty() {
            life.messages.extend_from_slice(messages);
            life.floor = life.tail.take().unwrap_or(life.floor) + 1;
        }
        life.closed = close;
        life.closed_by = producer.filter(|_| close).cloned();
        self.answer.is_none_or(|answer| answer.closed == close).then_some(())?;
        Some(Some(Rc::new(life.at(next)?)))
    }

    /// Whether the refusal is right in this state.
    fn refused(&self, state: &State, refusal: &Failure) -> bool {
        let producer = match self.op {
            Op::Append { producer, .. } | Op::Close { producer, .. } => producer.as_ref(),
            _ => None,
        };
        let taken = |life: &Life| producer.map(|producer| life.takes(producer));
        if is_not_found(refusal) {
            return state.is_none();
        }
        match (refusal.code.as_str(), state) {
            ("stream-exists", Some(life)) => {
                matches!(self.op, Op::Create { close, .. } if *close != life.closed)
            }
            ("stream-closed", Some(life)) => {
                life.closed
                    && refusal
                        .next
                        .is_none_or(|next| life.tail.is_none_or(|tail| tail == next))
            }
            ("producer-fenced", Some(life)) => taken(life) == Some(Taken::Fenced),
            ("producer-gap", Some(life)) => match taken(life) {
                Some(Taken::Gap(expected)) => refusal.expected.is_none_or(|said| said == expected),
                _ => false,
            },
            ("producer-epoch-start", Some(life)) => taken(life) == Some(Taken::NotFromZero),
            _ => false,
        }
    }
}

/// A HEAD's refusal has no body, and so no code.
const fn is_not_found(failure: &Failure) -> bool {
    matches!(failure.status, Some(404 | 410))
}

/// Refusals from which the state follows.
fn is_telling(failure: &Failure) -> bool {
    let telling = matches!(
        failure.code.as_str(),
        "stream-exists" | "stream-closed" | "producer-fenced" | "producer-gap" | "producer-epoch-start"
    );
    telling || is_not_found(failure)
}

/// How a producer's write is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    New,
    Again,
    Fenced,
    Gap(u64),
    NotFromZero,
}

impl Life {
    fn takes(&self, producer: &Producer) -> Taken {
        match self.producers.get(&producer.id) {
            None if producer.seq == 0 => Taken::New,
            None => Taken::Gap(0),
            Some((epoch, _)) if producer.epoch < *epoch => Taken::Fenced,
            Some((epoch, _)) if producer.epoch > *epoch && producer.seq == 0 => Taken::New,
            Some((epoch, _)) if producer.epoch > *epoch => Taken::NotFromZero,
            Some((_, seq)) if producer.seq <= *seq => Taken::Again,
            Some((_, seq)) if producer.seq == seq + 1 => Taken::New,
            Some((_, seq)) => Taken::Gap(seq + 1),
        }
    }

    /// The same with this tail, if it can be so.
    fn at(mut self, tail: Option<u64>) -> Option<Self> {
        let Some(tail) = tail else {
            return Some(self);
        };
        if self.tail.is_some_and(|known| known != tail) || tail < self.floor {
            return None;
        }
        self.tail = Some(tail);
        self.floor = tail;
        Some(self)
    }
}

fn read(life: &Life, from: From, answer: &Answer) -> Option<State> {
    let at_tail = answer.up_to_date || from == From::Now;
    if from == From::Start && answer.status != 304 {
        let fits = if at_tail {
            life.messages == answer.messages
        } else {
            life.messages.starts_with(&answer.messages)
        };
        fits.then_some(())?;
    }
    if !at_tail {
        return Some(Some(Rc::new(life.clone())));
    }
    (life.closed == answer.closed).then_some(())?;
    Some(Some(Rc::new(life.clone().at(answer.next)?)))
}

impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.op.f())?;
        match (self.answer, self.refusal) {
            (Some(answer), _) => write!(f, "-> {}", answer.status)?,
            (_, Some(refusal)) => write!(f, "-> {}", refusal.code)?,
            _ => write!(f, "-> ?")?,
        }
        write!(f, " (event {})", self.index)
    }
}
