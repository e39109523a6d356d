//! openraft's own suite for storage, on the journal and on the streams' state machine over redb.

use std::sync::Arc;

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;
use weir_journal::{Identity, Journal, MIN_SEGMENT_BYTES, Options, RealDisk, ReplicaKey};
use weir_storage::{RealFiles, RedbOptions, RedbStorage};

use super::log_store::LogStore;
use super::machine::Machine;
use super::state_machine::StateMachine;
use super::types::TypeConfig;
use crate::group::{StoreKind, StreamsMachine};

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, StateMachine), StorageError<TypeConfig>> {
        let dir = tempfile::tempdir().unwrap();
        let mut options = Options::new(Identity {
            cluster: [1; 16],
            node: [2; 16],
        });
        options.segment_bytes = MIN_SEGMENT_BYTES;
        let (journal, _) = Journal::open(&dir.path().join("journal"), options, Arc::new(RealDisk)).unwrap();
        let options = RedbOptions {
            path: dir.path().join("streams.redb"),
            cache_bytes: 1 << 20,
            waits_for_space: false,
        };
        let store = Arc::new(RedbStorage::open(&options).unwrap());
        let machine =
            StreamsMachine::open(store, StoreKind::Redb(options, Arc::new(RealFiles)), Arc::default()).unwrap();
        let log = LogStore::new(Arc::new(journal), ReplicaKey { group: 1, replica: 1 });
        let machine: Arc<dyn Machine> = Arc::new(machine);
        let state = StateMachine::open(machine, log.clone()).unwrap();
        state.opening().end();
        Ok((dir, log, state))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_of_openraft_passes() {
    Suite::test_all(Builder).await.unwrap();
}
