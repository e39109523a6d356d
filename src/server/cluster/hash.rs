//! `groups --hash`: whether the replicas of each group hold the same.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::sleep;

use crate::client::{Client, ClientError, report};

use super::api::{self, Group, Node};
use super::table::table;

/// How often replicas are asked that had not applied the same entries.
const ATTEMPTS: usize = 20;
const PAUSE: Duration = Duration::from_millis(300);

/// The group of the control plane; every node in use has a replica of it.
const META_GROUP: u64 = 0;

/// What one replica answered.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
struct Hashed {
    node: u64,
    applied: u64,
    hash: String,
}

/// What a comparison came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// All replicas hold the same.
    Equal,
    /// Two replicas that have applied the same entries hold different things.
    Different,
    /// The replicas have not applied the same entries: they are written to, or lag.
    Moving,
    /// Not every replica answered.
    Incomplete,
}

impl Verdict {
    fn text(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Different => "DIFFERENT",
            Self::Moving => "not comparable: not at the same index",
            Self::Incomplete => "not comparable: a replica does not answer",
        }
    }
}

/// Of `answers`, one for each replica.
fn judge(answers: &[Option<Hashed>]) -> Verdict {
    let mut by_index: BTreeMap<u64, &str> = BTreeMap::new();
    for answer in answers.iter().flatten() {
        let known = by_index.entry(answer.applied).or_insert(&answer.hash);
        if *known != answer.hash {
            return Verdict::Different;
        }
    }
    match (answers.iter().all(Option::is_some), by_index.len()) {
        (false, _) => Verdict::Incomplete,
        (true, 0 | 1) => Verdict::Equal,
        (true, _) => Verdict::Moving,
    }
}

/// Compares all groups, and the meta group.
///
/// # Errors
/// [`ClientError::NotEqual`] unless all are equal.
pub(super) async fn compare(client: &Client, json: bool) -> Result<(), ClientError> {
    let (_, nodes) = api::nodes(client).await?;
    let (_, groups) = api::groups(client).await?;
    let in_use = nodes
        .iter()
        .filter(|node| matches!(node.state.as_str(), "active" | "draining"));
    let everywhere = (META_GROUP, in_use.map(|node| node.id).collect());
    let placed = |group: &Group| (group.id, group.replicas.iter().map(|replica| replica.node).collect());
    let placed: Vec<(u64, Vec<u64>)> = std::iter::once(everywhere).chain(groups.iter().map(placed)).collect();
    let clients: BTreeMap<u64, Client> = nodes
        .iter()
        .filter_map(|node| Some((node.id, admin_of(node)?)))
        .collect();
    let mut results = Vec::new();
    for (group, replicas) in placed {
        let (answers, verdict) = compare_group(&clients, group, &replicas).await;
        results.push((group, replicas, answers, verdict));
    }
    let rows: Vec<_> = results
        .iter()
        .flat_map(|(group, replicas, answers, verdict)| {
            replicas.iter().zip(answers).map(|(node, answer)| {
                let (applied, hash) = match answer {
                    Some(answer) => (answer.applied.to_string(), answer.hash.clone()),
                    None => ("no answer".to_owned(), String::new()),
                };
                [
                    group.to_string(),
                    node.to_string(),
                    applied,
                    hash,
                    verdict.text().to_owned(),
                ]
            })
        })
        .collect();
    let value = results.iter().map(|(group, _, answers, verdict)| {
        json!({ "id": group, "verdict": verdict, "replicas": answers.iter().flatten().collect::<Vec<_>>() })
    });
    let value = json!({ "groups": value.collect::<Vec<_>>() });
    report(
        json,
        &value,
        &table(["GROUP", "NODE", "APPLIED", "HASH", "VERDICT"], &rows),
    )?;
    let unequal: Vec<_> = results
        .iter()
        .filter(|(.., verdict)| *verdict != Verdict::Equal)
        .collect();
    match unequal.iter().find(|(.., verdict)| *verdict == Verdict::Different) {
        Some((group, ..)) => Err(ClientError::NotEqual(format!(
            "the replicas of group {group} hold different things"
        ))),
        None if unequal.is_empty() => Ok(()),
        None => Err(ClientError::NotEqual(
            "not all groups could be compared; try again when nothing is written".to_owned(),
        )),
    }
}

fn admin_of(node: &Node) -> Option<Client> {
    Client::new(&format!("http://{}", node.admin_address)).ok()
}

/// Asks again while replicas are at different indexes.
async fn compare_group(
    clients: &BTreeMap<u64, Client>,
    group: u64,
    replicas: &[u64],
) -> (Vec<Option<Hashed>>, Verdict) {
    let mut outcome = (Vec::new(), Verdict::Incomplete);
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            sleep(PAUSE).await;
        }
        let mut answers = Vec::new();
        for node in replicas {
            let asked = match clients.get(node) {
                Some(client) => api::get(client, &format!("/v1/cluster/groups/{group}/hash")).await.ok(),
                None => None,
            };
            let answer = asked.map(|(_, answer): (_, Hashed)| answer);
            // Where a node advertises an address that is another one's here, such as 127.0.0.1, that one answers.
            answers.push(answer.filter(|answer| answer.node == *node));
        }
        let verdict = judge(&answers);
        outcome = (answers, verdict);
        if matches!(verdict, Verdict::Equal | Verdict::Different) {
            break;
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(node: u64, applied: u64, hash: &str) -> Option<Hashed> {
        let hash = hash.to_owned();
        Some(Hashed { node, applied, hash })
    }

    #[test]
    fn only_equal_indexes_are_compared() {
        let cases = [
            (
                vec![answer(1, 7, "a"), answer(2, 7, "a"), answer(3, 7, "a")],
                Verdict::Equal,
            ),
            (
                vec![answer(1, 7, "a"), answer(2, 7, "b"), answer(3, 7, "a")],
                Verdict::Different,
            ),
            (
                vec![answer(1, 7, "a"), answer(2, 8, "b"), answer(3, 7, "a")],
                Verdict::Moving,
            ),
            (vec![answer(1, 7, "a"), None, answer(3, 7, "a")], Verdict::Incomplete),
            (vec![answer(1, 7, "a"), None, answer(3, 7, "b")], Verdict::Different),
            (
                vec![answer(1, 7, "a"), answer(2, 8, "b"), answer(3, 8, "c")],
                Verdict::Different,
            ),
        ];
        for (answers, expected) in cases {
            assert_eq!(judge(&answers), expected, "{answers:?}");
        }
    }
}
