//! Where nodes are: network addresses and zones.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use thiserror::Error;

use crate::limits::{MAX_ADDRESS_BYTES, MAX_ZONE_BYTES};

/// Why a text is no address or zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Too long, without a port, with port 0, or with a host that is no DNS name and no IP address.
    #[error("not an address such as node-1.example:4436, 10.0.0.1:4436 or [::1]:4436")]
    Address,
    /// Too long, or with a character that a Kubernetes label value may not have.
    #[error("not a zone: up to {MAX_ZONE_BYTES} letters, digits, '-', '_' and '.'")]
    Zone,
}

/// Host and port. The host is a DNS name (kept in lower case), an IPv4 address, or an IPv6 address in brackets.
///
/// Names are kept, not resolved: in Kubernetes the name stays when the IP address changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(String);

impl Address {
    /// The address as `host:port`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.len() > MAX_ADDRESS_BYTES {
            return Err(AddressError::Address);
        }
        let (host, port) = text.rsplit_once(':').ok_or(AddressError::Address)?;
        if !is_port(port) || !is_host(host) {
            return Err(AddressError::Address);
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

fn is_port(text: &str) -> bool {
    // No leading zero and no sign, so that one address has one text.
    text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0') && text.parse::<u16>().is_ok()
}

fn is_host(text: &str) -> bool {
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().is_ok();
    }
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A part of the installation that fails as one. Nodes that name none share the empty zone.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zone(String);

impl Zone {
    /// The zone's name; empty when none was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Zone {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let fits = text.len() <= MAX_ZONE_BYTES
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(AddressError::Zone)
        }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a node is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// By other nodes. No two nodes in use share it.
    pub peer: Address,
    /// By clients.
    pub client: Address,
    /// By operators: health, metrics, admin.
    pub admin: Address,
}
