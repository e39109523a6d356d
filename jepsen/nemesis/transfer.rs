//! Who leads a group, changed by the admin API.

use serde_json::json;

use super::stage::Stage;
use crate::cluster::Error;

/// Leaders handed over, a few in a row.
pub(super) async fn strike(stage: &mut Stage) -> Result<(), Error> {
    let open = stage.begin("transfer", Vec::new());
    let before = stage.cluster.view().await.map(|view| view.terms()).unwrap_or_default();
    let mut taken = Vec::new();
    for _ in 0..4 {
        if let Some((group, to)) = order_transfer(stage).await {
            taken.push(format!("group {group} to n{to}"));
        }
        let ms = stage.rng.u64(300..900);
        stage.rest(std::time::Duration::from_millis(ms)).await;
    }
    let after = stage.cluster.view().await.map(|view| view.terms()).unwrap_or_default();
    let evidence = format!("accepted: {taken:?}; sum of terms {before} -> {after}");
    stage.end(open, after > before, evidence);
    Ok(())
}

/// Asks for one; gives what was accepted.
async fn order_transfer(stage: &mut Stage) -> Option<(u64, u32)> {
    let view = stage.cluster.view().await.ok()?;
    let group = stage.rng.choice(&view.groups)?;
    let others: Vec<u64> = group
        .replicas
        .iter()
        .map(|replica| replica.node)
        .filter(|node| Some(*node) != group.leader_node)
        .collect();
    let to = *stage.rng.choice(&others)?;
    let number = view.number(to)?;
    let admin = stage.cluster.admin(number);
    let path = format!("/v1/cluster/groups/{}/transfer", group.id);
    admin.order(&path, &json!({ "node": to })).await.ok()?;
    Some((group.id, number))
}
