//! Refusals, as numbers that never change.

use weir_proto::entry as pb;
use weir_protocol::{AppendError, CreateError, DeleteError, Fault, HeadError, ListError, Offset, ReadError};

use super::{Malformed, content_type, offset};

/// An error that can be sent.
pub(super) trait Failure: Sized {
    fn to_pb(&self) -> pb::Failure;
    fn from_pb(failure: &pb::Failure) -> Result<Self, Malformed>;
}

fn failure(code: u32) -> pb::Failure {
    pb::Failure {
        code,
        ..pb::Failure::default()
    }
}

fn with_text(code: u32, text: &str) -> pb::Failure {
    pb::Failure {
        code,
        text: text.to_owned(),
        ..pb::Failure::default()
    }
}

fn with_numbers(code: u32, a: u64, b: u64) -> pb::Failure {
    pb::Failure {
        code,
        a,
        b,
        ..pb::Failure::default()
    }
}

/// Why something is unavailable, as far as that is told further: the first, unless it is one of the others.
///
/// Answers to proposals are replicated state, and one that was decoded must be encoded as before: a replica that came by a
/// restart or a snapshot would differ from the others.
const UNAVAILABLE: [&str; 2] = [
    "the node that serves this stream cannot take requests now",
    weir_storage::LATE_FORK,
];

fn unavailable(why: &str) -> &'static str {
    let known = UNAVAILABLE.into_iter().find(|known| *known == why);
    known.unwrap_or(UNAVAILABLE[0])
}

/// Faults have the numbers from 100 on, whatever the operation.
fn fault_to_pb(fault: &Fault) -> pb::Failure {
    match fault {
        Fault::Unavailable(why) => with_text(100, unavailable(why)),
        Fault::Overloaded => failure(101),
        Fault::OutcomeUnknown => failure(102),
        Fault::StorageFull => failure(103),
        Fault::Storage(what) => with_text(104, what),
        Fault::TooLarge => failure(105),
    }
}

fn fault_from_pb(failure: &pb::Failure) -> Result<Fault, Malformed> {
    Ok(match failure.code {
        100 => Fault::Unavailable(unavailable(&failure.text)),
        101 => Fault::Overloaded,
        102 => Fault::OutcomeUnknown,
        103 => Fault::StorageFull,
        104 => Fault::Storage(failure.text.clone()),
        105 => Fault::TooLarge,
        _ => return Err(Malformed),
    })
}

/// What a mismatch can be about. The text is part of the answer, so it is one of these.
const MISMATCHES: [&str; 4] = ["content type", "lifetime", "closed state", "fork origin"];

impl Failure for CreateError {
    fn to_pb(&self) -> pb::Failure {
        match self {
            Self::ConfigMismatch(what) => with_text(1, what),
            Self::NameHeld => failure(2),
            Self::SourceNotFound => failure(3),
            Self::SourceGone => failure(4),
            Self::SourceTypeMismatch(content_type) => with_text(5, content_type.as_str()),
            Self::ForkOffsetBeyondTail => failure(6),
            Self::ForkOffsetInvalid => failure(7),
            Self::ForkSubOffsetOvershoot => failure(8),
            Self::TooLong => failure(9),
            Self::Elsewhere => failure(10),
            Self::Fault(fault) => fault_to_pb(fault),
        }
    }

    fn from_pb(failure: &pb::Failure) -> Result<Self, Malformed> {
        Ok(match failure.code {
            1 => {
                let known = MISMATCHES.into_iter().find(|what| *what == failure.text);
                Self::ConfigMismatch(known.unwrap_or("configuration"))
            }
            2 => Self::NameHeld,
            3 => Self::SourceNotFound,
            4 => Self::SourceGone,
            5 => Self::SourceTypeMismatch(content_type(&failure.text)?),
            6 => Self::ForkOffsetBeyondTail,
            7 => Self::ForkOffsetInvalid,
            8 => Self::ForkSubOffsetOvershoot,
            9 => Self::TooLong,
            10 => Self::Elsewhere,
            _ => Self::Fault(fault_from_pb(failure)?),
        })
    }
}

impl Failure for AppendError {
    fn to_pb(&self) -> pb::Failure {
        match self {
            Self::NotFound => failure(1),
            Self::Gone => failure(2),
            Self::Closed { next_offset } => with_numbers(3, next_offset.position(), 0),
            Self::ContentTypeMismatch(content_type) => with_text(4, content_type.as_str()),
            Self::StreamSeqRegression => failure(5),
            Self::EpochFenced { current_epoch } => with_numbers(6, *current_epoch, 0),
            Self::SequenceGap { expected, received } => with_numbers(7, *expected, *received),
            Self::EpochMustStartAtZero => failure(8),
            Self::TooLong => failure(9),
            Self::Fault(fault) => fault_to_pb(fault),
        }
    }

    fn from_pb(failure: &pb::Failure) -> Result<Self, Malformed> {
        Ok(match failure.code {
            1 => Self::NotFound,
            2 => Self::Gone,
            3 => Self::Closed {
                next_offset: offset(failure.a)?,
            },
            4 => Self::ContentTypeMismatch(content_type(&failure.text)?),
            5 => Self::StreamSeqRegression,
            6 => Self::EpochFenced {
                current_epoch: failure.a,
            },
            7 => Self::SequenceGap {
                expected: failure.a,
                received: failure.b,
            },
            8 => Self::EpochMustStartAtZero,
            9 => Self::TooLong,
            _ => Self::Fault(fault_from_pb(failure)?),
        })
    }
}

/// Operations that only fail because there is no such stream.
macro_rules! lookup {
    ($($error:ty),*) => {
        $(
            impl Failure for $error {
                fn to_pb(&self) -> pb::Failure {
                    match self {
                        Self::NotFound => failure(1),
                        Self::Gone => failure(2),
                        Self::Fault(fault) => fault_to_pb(fault),
                    }
                }

                fn from_pb(failure: &pb::Failure) -> Result<Self, Malformed> {
                    Ok(match failure.code {
                        1 => Self::NotFound,
                        2 => Self::Gone,
                        _ => Self::Fault(fault_from_pb(failure)?),
                    })
                }
            }
        )*
    };
}

lookup!(DeleteError, HeadError);

impl Failure for ReadError {
    fn to_pb(&self) -> pb::Failure {
        match self {
            Self::NotFound => failure(1),
            Self::Gone => failure(2),
            Self::OffsetBeyondTail => failure(3),
            Self::OffsetInvalid => failure(4),
            Self::Elsewhere => failure(5),
            Self::Fault(fault) => fault_to_pb(fault),
        }
    }

    fn from_pb(failure: &pb::Failure) -> Result<Self, Malformed> {
        Ok(match failure.code {
            1 => Self::NotFound,
            2 => Self::Gone,
            3 => Self::OffsetBeyondTail,
            4 => Self::OffsetInvalid,
            5 => Self::Elsewhere,
            _ => Self::Fault(fault_from_pb(failure)?),
        })
    }
}

impl Failure for ListError {
    fn to_pb(&self) -> pb::Failure {
        match self {
            Self::Fault(fault) => fault_to_pb(fault),
        }
    }

    fn from_pb(failure: &pb::Failure) -> Result<Self, Malformed> {
        fault_from_pb(failure).map(Self::Fault)
    }
}

/// An optional offset, as a position.
pub(super) fn maybe_offset(position: Option<u64>) -> Result<Option<Offset>, Malformed> {
    position.map(offset).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_decoded_is_encoded_as_before() {
        for why in ["no leader", UNAVAILABLE[0], UNAVAILABLE[1], ""] {
            let first = fault_to_pb(&Fault::Unavailable(why));
            let again = fault_to_pb(&fault_from_pb(&first).unwrap());
            assert_eq!(again, first, "{why:?}");
        }
        for what in ["content type", "lifetime", "closed state", "fork origin", "another"] {
            let first = CreateError::ConfigMismatch(what).to_pb();
            let decoded = CreateError::from_pb(&first).unwrap();
            assert!(what == "another" || decoded.to_pb() == first, "{what:?}");
        }
    }

    #[test]
    fn a_late_fork_is_told_as_such() {
        let fault = Fault::Unavailable(weir_storage::LATE_FORK);
        assert_eq!(fault_from_pb(&fault_to_pb(&fault)).unwrap(), fault);
    }
}
