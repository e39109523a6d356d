//! Forks whose source is another group's: what each side remembers of the other.
//!
//! The source's group holds a reference for each such fork, as one of the source's forks: the source's bytes stay as
//! long as it has any. The fork's record holds the same, and when the fork goes, a release of the reference goes into
//! the fork's group's outbox, in the same transaction.

use bytes::{Buf, BufMut};
use weir_protocol::{ContentType, Lifetime, Offset, Run, StreamName, Timestamp};

use crate::error::StorageError;

/// How long after a retain its fork may be made, by the time of the fork's group. Later creates are refused, so that a
/// reference whose fork is not there by then can be released for good.
pub const RETAINED_FOR_MS: u64 = 30_000;

/// A source is kept for a fork in another group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Names this attempt to make the fork, among all of them.
    pub fork_id: u64,
    /// When it was retained, by the time of the source's group.
    pub retained_at: Timestamp,
    /// The source.
    pub source: StreamName,
    /// Which life of the source, in its group.
    pub source_id: u64,
    /// The fork.
    pub fork: StreamName,
}

impl Reference {
    /// Whether no later command of the fork's group can make the fork, at `at` by that group's time.
    pub(crate) fn is_decided(&self, at: Timestamp) -> bool {
        at.as_millis() > self.retained_at.as_millis().saturating_add(RETAINED_FOR_MS)
    }
}

/// What a source answered to a retain: all that the fork needs to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retained {
    /// The reference that keeps the source.
    pub reference: Reference,
    /// Where the fork's own bytes begin.
    pub base: Offset,
    /// The fork's type.
    pub content_type: ContentType,
    /// The fork's lifetime.
    pub lifetime: Lifetime,
    /// Whether that is the source's.
    pub inherited_lifetime: bool,
}

/// Where a fork leaves its source, found by reading: the bytes before it are in another group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boundary {
    /// The life of the source that was read.
    pub source_id: u64,
    /// Where the fork's own bytes begin.
    pub base: Offset,
}

/// What is known of a fork's origin before its create is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// The source is in the fork's group; only the boundary was found elsewhere.
    Boundary(Boundary),
    /// The source is in another group, and kept for this fork.
    Retained(Retained),
    /// The source is in another group, and the fork should be there already: nothing is made.
    Existing,
}

/// What the group of a fork knows of a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probed {
    /// The fork is there. When it goes, its own group releases the reference.
    pub exists: bool,
    /// No later command can make it.
    pub decided: bool,
}

/// In whose bytes a stream's inherited beginning lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// A stream of another group.
    pub source: StreamName,
    /// Which life of it.
    pub source_id: u64,
    /// The part before this offset is its.
    pub until: Offset,
}

/// A piece of a stream's inherited beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// Whole messages.
    Messages {
        /// The messages, in order.
        runs: Vec<Run>,
        /// Where they end.
        next_offset: Offset,
    },
    /// The source inherited it as well.
    Elsewhere(Elsewhere),
    /// This replica has not applied what made the source what it is.
    Behind,
}

/// A place in the order of all references of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceCursor(pub(crate) u64, pub(crate) String);

/// Some references of a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReferencePage {
    /// The references.
    pub references: Vec<Reference>,
    /// Where to go on; `None` after the last.
    pub next: Option<ReferenceCursor>,
}

/// One of a stream's forks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ForkKey {
    /// A fork in the same store.
    Local(StreamName),
    /// A fork in another group.
    Remote(Reference),
}

/// Begins the text of a remote fork, and ends its source's name. No stream's name has it.
const MARK: char = '\u{1}';

impl ForkKey {
    /// As a text: the name of a local fork; the mark, the fork id and the time (16 hexadecimal digits each), the source,
    /// the mark and the fork of a remote one.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Local(name) => name.as_str().to_owned(),
            Self::Remote(reference) => format!(
                "{MARK}{:016x}{:016x}{}{MARK}{}",
                reference.fork_id,
                reference.retained_at.as_millis(),
                reference.source,
                reference.fork
            ),
        }
    }

    /// # Errors
    /// [`StorageError::Damaged`] unless the text is one of a fork of `source_id`.
    pub(crate) fn parse(source_id: u64, text: &str) -> Result<Self, StorageError> {
        let damaged = || StorageError::Damaged("a fork's key".to_owned());
        let Some(rest) = text.strip_prefix(MARK) else {
            return Ok(Self::Local(StreamName::new(text).map_err(|_| damaged())?));
        };
        let number = |digits: Option<&str>| {
            let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
            digits.and_then(|digits| u64::from_str_radix(digits, 16).ok())
        };
        let (fork_id, retained_at) = (number(rest.get(..16)), number(rest.get(16..32)));
        let names = rest.get(32..).and_then(|names| names.split_once(MARK));
        let (source, fork) = names.ok_or_else(damaged)?;
        Ok(Self::Remote(Reference {
            fork_id: fork_id.ok_or_else(damaged)?,
            retained_at: Timestamp::from_millis(retained_at.ok_or_else(damaged)?),
            source: StreamName::new(source).map_err(|_| damaged())?,
            source_id,
            fork: StreamName::new(fork).map_err(|_| damaged())?,
        }))
    }

    pub(crate) fn is_remote_text(text: &str) -> bool {
        text.starts_with(MARK)
    }
}

impl Reference {
    /// As it is kept in an outbox: the source's id (8 bytes, big-endian), and its text as a fork.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let text = ForkKey::Remote(self.clone()).text();
        let mut bytes = Vec::with_capacity(8 + text.len());
        bytes.put_u64(self.source_id);
        bytes.put_slice(text.as_bytes());
        bytes
    }

    /// # Errors
    /// [`StorageError::Damaged`] unless the bytes are an encoded reference.
    pub(crate) fn decode(mut bytes: &[u8]) -> Result<Self, StorageError> {
        let damaged = || StorageError::Damaged("an entry of the outbox".to_owned());
        let source_id = bytes.try_get_u64().map_err(|_| damaged())?;
        let text = std::str::from_utf8(bytes).map_err(|_| damaged())?;
        match ForkKey::parse(source_id, text)? {
            ForkKey::Remote(reference) => Ok(reference),
            ForkKey::Local(_) => Err(damaged()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name() -> impl Strategy<Value = StreamName> {
        "[a-zé0-9]{1,9}(/[a-z ]{1,9})?".prop_map(|name| StreamName::new(&name).unwrap())
    }

    fn reference() -> impl Strategy<Value = Reference> {
        (any::<[u64; 3]>(), name(), name()).prop_map(|([fork_id, retained_at, source_id], source, fork)| Reference {
            fork_id,
            retained_at: Timestamp::from_millis(retained_at),
            source,
            source_id,
            fork,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn forks_come_back_from_their_text(reference in reference(), local in name()) {
            let id = reference.source_id;
            prop_assert_eq!(Reference::decode(&reference.encode()), Ok(reference.clone()));
            let (remote, local) = (ForkKey::Remote(reference), ForkKey::Local(local));
            prop_assert_eq!(ForkKey::parse(id, &remote.text()), Ok(remote.clone()));
            prop_assert_eq!(ForkKey::parse(id, &local.text()), Ok(local.clone()));
            prop_assert!(ForkKey::is_remote_text(&remote.text()) && !ForkKey::is_remote_text(&local.text()));
            prop_assert!(remote.text() < local.text());
        }

        #[test]
        fn any_text_is_a_fork_or_damage(text in "\u{1}?[0-9a-f+]{0,40}[a-z/\u{1}]{0,9}") {
            if let Ok(key) = ForkKey::parse(1, &text) {
                prop_assert_eq!(ForkKey::parse(1, &key.text()), Ok(key));
            }
        }
    }
}
