//! Opening the node's journal.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;
use weir_journal::{Disk, Identity as Owner, Journal, Options};

use super::options::OpenError;
use crate::blocking::blocking;
use crate::control::{Identity, Member};
use crate::disk_space::{DiskSpace, SparingDisk};
use crate::limits::JOURNAL_CACHE_BYTES;
use crate::memory_disk::MemoryDisk;
use crate::platform::Threads;

/// A node's journal, which it must have if it ever had one.
pub(super) async fn open_journal(
    dir: &Path,
    identity: &Identity,
    member: &Member,
    (in_memory, disk, space): (bool, &Arc<dyn Disk>, &Arc<DiskSpace>),
    threads: Threads,
) -> Result<Arc<Journal>, OpenError> {
    let path = dir.join("journal");
    // Before a new one is made in its place, which the next start would take for it.
    if member.started && !in_memory && !has_segments(&**disk, &path) {
        return Err(OpenError::JournalLost(path));
    }
    let mut options = Options::new(Owner {
        cluster: member.cluster.0.to_be_bytes(),
        node: identity.uuid.0.to_be_bytes(),
    });
    options.cache_bytes = JOURNAL_CACHE_BYTES;
    // Those who append are the runtime's own threads.
    options.waits_for_room = false;
    let disk: Arc<dyn Disk> = if in_memory {
        // Segments are filled with zeros ahead, which in memory only costs time.
        options.segment_bytes = 32 << 20;
        Arc::new(MemoryDisk::default())
    } else {
        Arc::new(SparingDisk {
            disk: Arc::clone(disk),
            space: Arc::clone(space),
            file_bytes: options.segment_bytes,
        })
    };
    let (journal, recovered) = match threads {
        Threads::Many => {
            let path = path.clone();
            let opened = blocking(move || Journal::open(&path, options, disk)).await;
            let (journal, recovered) = opened.map_err(OpenError::Thread)??;
            let journal = Arc::new(journal);
            write_alone(&journal);
            (journal, recovered)
        }
        Threads::None(steps) => {
            let (journal, recovered, stepper) = Journal::open_stepped(&path, steps.options(options), disk)?;
            let journal = Arc::new(journal);
            steps.take(&journal, stepper);
            (journal, recovered)
        }
    };
    if recovered.fresh && member.started {
        return Err(OpenError::JournalLost(path));
    }
    if let Some(cut) = &recovered.cut {
        tracing::warn!(
            ?cut,
            "the end of the journal was torn, as a crash leaves it, and was cut off"
        );
    }
    Ok(journal)
}

fn has_segments(disk: &dyn Disk, path: &Path) -> bool {
    match disk.list(path) {
        Ok(names) => names.iter().any(|name| name.ends_with(".seg")),
        // What else is wrong, who opens it will say.
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Has what is submitted alone written by a task: it runs on the thread that submitted, after whoever is ready there, and
/// what it completes runs there next. Called within the submission, the completion would find its task running, and the
/// runtime wakes another thread for a task that is woken while it runs.
fn write_alone(journal: &Arc<Journal>) {
    let (wake, mut woken) = mpsc::channel(1);
    journal.when_alone(move || {
        // A full channel has a wake-up in it that is still to come.
        let _ = wake.try_send(());
    });
    let journal = Arc::downgrade(journal);
    tokio::spawn(async move {
        while woken.recv().await.is_some() {
            // Whoever is about to submit comes first. And the runtime runs only a few tasks in a row that wake each other,
            // of which this would be the last; after a yield it counts anew.
            tokio::task::yield_now().await;
            let Some(journal) = journal.upgrade() else { break };
            journal.write_alone();
        }
    });
}
