//! Entity tags (protocol section 10.1).

use std::fmt;

use crate::offset::Offset;
use crate::time::Timestamp;

/// One life of a stream, from create to delete: a number that its group counts up, and its creation time, so that it
/// differs even from a stream of the same name on a wiped disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation {
    /// Counts up within a group.
    pub id: u64,
    /// When the stream was created.
    pub created_at: Timestamp,
}

/// What an answer says of what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The stream has more.
    Partial,
    /// The stream had no more when it was read.
    Tail,
    /// The stream is closed there.
    End,
}

/// The entity tag of one read: incarnation, range and reach. A full page that ended at the tail is another answer once
/// the stream goes on: a cache that took them for one would go on telling its clients that they have everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ETag {
    /// Which life of the stream.
    pub incarnation: Incarnation,
    /// Where the answer begins.
    pub start: Offset,
    /// Where it ends.
    pub end: Offset,
    /// What it says of what follows.
    pub reach: Reach,
}

impl ETag {
    /// Whether an `If-None-Match` header's value names this tag: `*` alone, or a list with it in, weak or strong
    /// (RFC 9110 section 13.1.2 compares weakly). Splitting at commas is safe, as no tag of ours has one.
    #[must_use]
    pub fn matches(&self, if_none_match: &str) -> bool {
        let own = self.to_string();
        if_none_match.trim() == "*"
            || if_none_match
                .split(',')
                .map(str::trim)
                .any(|tag| tag.strip_prefix("W/").unwrap_or(tag) == own)
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Incarnation { id, created_at } = self.incarnation;
        write!(
            f,
            "\"{id:x}.{:x}:{}:{}",
            created_at.as_millis(),
            self.start.position(),
            self.end.position()
        )?;
        f.write_str(match self.reach {
            Reach::Partial => ":p\"",
            Reach::Tail => "\"",
            Reach::End => ":c\"",
        })
    }
}
