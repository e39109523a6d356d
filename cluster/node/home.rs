//! A node's data directory.

use std::path::PathBuf;
use std::sync::Arc;

use weir_journal::Disk;

use super::options::{NodeOptions, OpenError, StorageKind};
use crate::blocking::has_threads;
use crate::control::{Identity, Introduced, Member, form};
use crate::disk_space::DiskSpace;
use crate::peer::Peers;
use crate::platform::Network;

/// The data directory, and who its files say that the node is.
pub(super) struct Home {
    pub(super) dir: PathBuf,
    pub(super) disk: Arc<dyn Disk>,
    /// Nothing is kept in the directory.
    pub(super) in_memory: bool,
    pub(super) identity: Identity,
}

impl Home {
    pub(super) fn open(options: &NodeOptions) -> Result<Self, OpenError> {
        let in_memory = options.storage == StorageKind::Memory;
        let (dir, disk) = (options.data_dir.clone(), Arc::clone(&options.platform.disk));
        let identity = if in_memory {
            Identity::draw()
        } else {
            let made = disk.create_dir(&dir);
            made.map_err(|source| OpenError::DataDir {
                path: dir.clone(),
                source,
            })?;
            Identity::load(&*disk, &dir)?
        };
        Ok(Self {
            dir,
            disk,
            in_memory,
            identity,
        })
    }

    pub(super) fn space(&self) -> DiskSpace {
        match self.in_memory || !has_threads() {
            true => DiskSpace::default(),
            false => DiskSpace::of(&self.dir),
        }
    }

    fn save(&self) -> Result<(), OpenError> {
        if !self.in_memory {
            self.identity.save(&*self.disk, &self.dir)?;
        }
        Ok(())
    }

    /// The cluster to which this node belongs; at its first start, the one that it forms or joins.
    pub(super) async fn belong(&mut self, introduced: &Introduced, network: &Network) -> Result<Member, OpenError> {
        if let Some(member) = &self.identity.member {
            return Ok(member.clone());
        }
        let strangers = Arc::new(Peers::new(String::new(), 0, Arc::default(), network.clone()));
        let member = form(introduced, &strangers).await?;
        self.identity.member = Some(member.clone());
        self.save()?;
        Ok(member)
    }

    /// Remembers that there is a journal now.
    pub(super) fn note_start(&mut self, member: &Member) -> Result<(), OpenError> {
        if member.started {
            return Ok(());
        }
        let mut started = member.clone();
        started.started = true;
        self.identity.member = Some(started);
        self.save()
    }
}
