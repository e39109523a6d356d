//! The producer table is the fold of the log.
//!
//! What was asked and answered, entry by entry, is folded here by other code than the state machine's: a tuple that was
//! accepted is the next one of its producer, and the table has what was accepted last. Reading a table makes a
//! checkpoint and reads much of a store, so it is the replayed log's that is looked at, every so often and at the end;
//! every replica's is equal to that where its state is ([`super::state`]).

use std::collections::{BTreeMap, BTreeSet};

use weir_cluster::Done;
use weir_protocol::CreateStreamResult;
use weir_protocol::producer::{ProducerHeaders, ProducerState};
use weir_storage::{Op, Outcome, ProducerTable};

use super::{Checked, violated};

/// One group's.
#[derive(Default)]
pub(super) struct Producers {
    table: ProducerTable,
    /// Proposals that were folded in: a repeated one is answered as before, and changes nothing.
    folded: BTreeSet<(u64, u64)>,
}

impl Producers {
    /// Folds an entry in.
    pub(super) fn fold(&mut self, group: u64, done: &[Done]) -> Checked {
        for done in done {
            let is_new = done.origin == 0 || self.folded.insert((done.origin, done.id));
            if let (true, Some(outcome)) = (is_new, &done.outcome) {
                self.take(group, &done.op, outcome)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, group: u64, op: &Op, outcome: &Outcome) -> Checked {
        match (op, outcome) {
            (Op::Create(name, _) | Op::Fork(name, ..), Outcome::Create(Ok(created)))
                if created.status == CreateStreamResult::Created =>
            {
                self.table.insert(name.clone(), BTreeMap::new());
            }
            (Op::Delete(name), Outcome::Delete(Ok(()))) => {
                self.table.remove(name);
            }
            (Op::Append(name, append), Outcome::Append(Ok(appended))) => {
                let is_new = appended.producer.as_ref().is_some_and(|ack| !ack.duplicate);
                if let Some(producer) = append.producer.as_ref().filter(|_| is_new) {
                    let of_stream = self.table.entry(name.clone()).or_default();
                    let before = of_stream.get(&*producer.id).copied();
                    if !follows(before, producer) {
                        let seen = format!("group {group}, {name}: {producer:?} was accepted after {before:?}");
                        return Err(violated("producers' tuples are accepted once and in order", seen));
                    }
                    let state = ProducerState {
                        epoch: producer.epoch,
                        last_seq: producer.seq,
                    };
                    of_stream.insert(producer.id.to_string(), state);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Compares with a store's; gives how many producers there were. Streams that expired are still known here.
    pub(super) fn compare(&self, group: u64, table: &ProducerTable) -> Result<u64, super::Violation> {
        let mut compared = 0;
        for (name, has) in table {
            let due = self.table.get(name);
            if due.is_none_or(|due| due != has) {
                let seen = format!("group {group}, {name}: the table has {has:?}, its log gives {due:?}");
                return Err(violated("the producer table is the fold of the log", seen));
            }
            compared += has.len() as u64;
        }
        Ok(compared)
    }
}

fn follows(before: Option<ProducerState>, now: &ProducerHeaders) -> bool {
    match before {
        Some(before) if before.epoch == now.epoch => now.seq == before.last_seq + 1,
        Some(before) => now.epoch > before.epoch && now.seq == 0,
        None => now.seq == 0,
    }
}

#[cfg(test)]
mod tests {
    use weir_protocol::producer::ProducerAck;
    use weir_protocol::{Append, Appended, Offset, StreamName};

    use super::*;

    fn appended(id: u64, epoch: u64, seq: u64, duplicate: bool) -> Done {
        let append = Append {
            producer: Some(ProducerHeaders {
                id: "p".into(),
                epoch,
                seq,
            }),
            ..Append::close()
        };
        let answer = Appended {
            next_offset: Offset::MAX,
            closed: false,
            producer: Some(ProducerAck {
                epoch,
                highest_seq: seq,
                duplicate,
            }),
        };
        Done {
            origin: 1,
            id,
            op: Op::Append(name(), append),
            outcome: Some(Outcome::Append(Ok(answer))),
        }
    }

    fn name() -> StreamName {
        StreamName::new("s").unwrap()
    }

    fn table(epoch: u64, last_seq: u64) -> ProducerTable {
        let producers = BTreeMap::from([("p".to_owned(), ProducerState { epoch, last_seq })]);
        BTreeMap::from([(name(), producers)])
    }

    #[test]
    fn what_was_accepted_last_is_in_the_table() {
        let mut producers = Producers::default();
        let entry = [
            appended(1, 0, 0, false),
            appended(2, 0, 1, false),
            appended(3, 0, 1, true),
            appended(4, 2, 0, false),
            // A repeated proposal.
            appended(1, 0, 0, false),
        ];
        producers.fold(7, &entry).unwrap();
        assert_eq!(producers.compare(7, &table(2, 0)).unwrap(), 1);
    }

    #[test]
    fn a_table_that_forgot_or_lags_is_found() {
        let mut producers = Producers::default();
        producers
            .fold(7, &[appended(1, 0, 0, false), appended(2, 0, 1, false)])
            .unwrap();
        let forgot = BTreeMap::from([(name(), BTreeMap::new())]);
        for table in [forgot, table(0, 0), table(1, 1)] {
            let found = producers.compare(7, &table).unwrap_err();
            assert_eq!(found.invariant, "the producer table is the fold of the log");
        }
    }

    #[test]
    fn tuples_accepted_twice_or_with_a_gap_are_found() {
        for (epoch, seq) in [(0, 0), (0, 2), (1, 1)] {
            let mut producers = Producers::default();
            producers.fold(7, &[appended(1, 0, 0, false)]).unwrap();
            let found = producers.fold(7, &[appended(2, epoch, seq, false)]).unwrap_err();
            assert_eq!(found.invariant, "producers' tuples are accepted once and in order");
        }
    }
}
