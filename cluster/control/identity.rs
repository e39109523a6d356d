//! What a node knows of itself across restarts: one small file in its data directory.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;
use weir_journal::Disk;
use weir_meta::{ClusterId, NodeId, NodeUuid, ReplicaId};

const FILE: &str = "identity.json";

/// The file cannot be used.
#[derive(Debug, Error)]
#[error("the node's identity in {path} cannot be used: {source}")]
pub struct IdentityError {
    path: PathBuf,
    source: io::Error,
}

/// A node's identity. A node with an empty disk is a new node, whatever its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// Drawn once, when the data directory was made.
    pub(crate) uuid: NodeUuid,
    /// Set when the node belongs to a cluster; never changed after that.
    pub(crate) member: Option<Member>,
}

/// A node's place in its cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) cluster: ClusterId,
    pub(crate) node: NodeId,
    pub(crate) meta_replica: ReplicaId,
    /// On the node that founds the cluster, until it is founded: the encoded command that does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) founding: Vec<u8>,
    /// Whether the node has had a journal: from then on a missing one is a loss.
    #[serde(default)]
    pub(crate) started: bool,
    /// Peer addresses of other nodes, for the time before the meta group has told them.
    #[serde(default)]
    pub(crate) peers: BTreeMap<u64, String>,
}

/// The file: the identity, and a checksum of its bytes. Another UUID or node id would be as good to read as the right one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed<'a> {
    crc32c: u32,
    #[serde(borrow)]
    identity: &'a RawValue,
}

impl Identity {
    /// A new one.
    pub(crate) fn draw() -> Self {
        Self {
            uuid: NodeUuid(uuid::Uuid::new_v4().as_u128()),
            member: None,
        }
    }

    /// Reads the identity of the node in `dir`, or makes one.
    pub(crate) fn load(disk: &dyn Disk, dir: &Path) -> Result<Self, IdentityError> {
        let path = dir.join(FILE);
        let failed = |source| IdentityError {
            path: path.clone(),
            source,
        };
        match read(disk, &path) {
            Ok(bytes) => unseal(&bytes).map_err(failed),
            // A new identity would register as a new node, which could then not open what is here.
            Err(error) if error.kind() == io::ErrorKind::NotFound && dir.join("journal").exists() => {
                let missing = "it is missing, though there is a journal: restore it, or empty the data directory and let this \
                               node join as a new one";
                Err(failed(io::Error::new(error.kind(), missing)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let identity = Self::draw();
                identity.save(disk, dir)?;
                Ok(identity)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Writes it, at once or not at all.
    pub(crate) fn save(&self, disk: &dyn Disk, dir: &Path) -> Result<(), IdentityError> {
        let failed = |source| IdentityError {
            path: dir.join(FILE),
            source,
        };
        let bytes = self.seal().map_err(|error| failed(error.into()))?;
        write_atomically(disk, dir, FILE, &bytes).map_err(failed)
    }

    fn seal(&self) -> Result<Vec<u8>, serde_json::Error> {
        let text = serde_json::to_string_pretty(self)?;
        let sealed = Sealed {
            crc32c: crc32c::crc32c(text.as_bytes()),
            identity: serde_json::from_str(&text)?,
        };
        serde_json::to_vec(&sealed)
    }
}

fn unseal(bytes: &[u8]) -> io::Result<Identity> {
    let invalid = |error: serde_json::Error| io::Error::new(io::ErrorKind::InvalidData, error);
    let sealed: Sealed<'_> = serde_json::from_slice(bytes).map_err(invalid)?;
    if crc32c::crc32c(sealed.identity.get().as_bytes()) != sealed.crc32c {
        let damaged = "it is damaged: its checksum is another one";
        return Err(io::Error::new(io::ErrorKind::InvalidData, damaged));
    }
    serde_json::from_str(sealed.identity.get()).map_err(invalid)
}

/// Replaces a file by another content, durably: a crash leaves the old or the new one.
pub(crate) fn write_atomically(disk: &dyn Disk, dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = dir.join(format!("{name}.new"));
    let file = disk.create(&temporary)?;
    file.write_at(bytes, 0)?;
    file.sync()?;
    disk.rename(&temporary, &dir.join(name))?;
    disk.sync_dir(dir)
}

/// All of a small file.
pub(crate) fn read(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open(path)?;
    let mut bytes = vec![0; usize::try_from(file.size()?).map_err(|_| io::ErrorKind::FileTooLarge)?];
    file.read_at(&mut bytes, 0)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_noticed() {
        let mut identity = Identity::draw();
        identity.member = Some(Member {
            cluster: ClusterId(uuid::Uuid::new_v4().as_u128()),
            node: NodeId(1),
            meta_replica: ReplicaId(1),
            founding: Vec::new(),
            started: true,
            peers: BTreeMap::from([(2, "127.0.0.1:4436".to_owned())]),
        });
        let bytes = identity.seal().unwrap();
        assert_eq!(unseal(&bytes).unwrap(), identity);
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(unseal(&damaged).is_err(), "bit {bit}");
        }
    }
}
