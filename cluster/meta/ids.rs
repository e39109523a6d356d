//! Identities. A random one is 128 bits wide and shown as a UUID; a counted one is a number from 1 on, given out by the
//! meta group and never twice.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;
use uuid::Uuid;

/// Why a text is no identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IdError {
    /// Not a UUID in its 36 character form, or the nil UUID.
    #[error("not a UUID such as 67e55044-10b1-426f-9247-bb680e5fe0c8")]
    Uuid,
    /// Not a plain decimal number, or too large.
    #[error("not a number in decimal digits")]
    Number,
}

macro_rules! random_id {
    ($(#[$docs:meta])* $name:ident) => {
        $(#[$docs])*
        ///
        /// As text a UUID of 36 characters, in JSON that text. 0 is no identity: parsers refuse it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u128);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Uuid::from_u128(self.0).hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                // The crate also reads forms with braces, a URN prefix or no hyphens.
                let id = Uuid::try_parse(text).map_err(|_| IdError::Uuid)?;
                if text.len() != 36 || id.is_nil() {
                    return Err(IdError::Uuid);
                }
                Ok(Self(id.as_u128()))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

macro_rules! counted_id {
    ($(#[$docs:meta])* $name:ident) => {
        $(#[$docs])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                // The standard parser also takes a leading plus sign.
                if !text.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(IdError::Number);
                }
                text.parse().map(Self).map_err(|_| IdError::Number)
            }
        }
    };
}

random_id! {
    /// A cluster, for ever. Chosen at random by whoever founds it.
    ClusterId
}

random_id! {
    /// A node's disk. Chosen at random when a data directory is first used and kept there: an empty disk is a new node,
    /// whatever its host is called.
    NodeUuid
}

counted_id! {
    /// A node as the cluster numbers it, from 1 on. Never given out twice.
    NodeId
}

counted_id! {
    /// A Raft group. 0 is the meta group; those that hold streams count from 1 on.
    GroupId
}

counted_id! {
    /// A group's member on one node, and its node id in Raft. From 1 on, never given out twice in the whole cluster: a
    /// replica that is placed anew, on whatever node, has a new id.
    ReplicaId
}

impl GroupId {
    /// The meta group.
    pub const META: Self = Self(0);
}
