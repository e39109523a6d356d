//! Frames that come late, in another order, or not at all; between nodes, and in some runs on the clients' links, too.

use std::time::Duration;

use super::stage::Stage;
use crate::cluster::{Error, link_name};
use crate::net::{CLIENTS, End, Rule};

/// One kind of bad network.
fn rules(stage: &mut Stage) -> (&'static str, Rule) {
    let ms = Duration::from_millis;
    let loss = 0.02 + stage.rng.f64() * 0.18;
    match stage.rng.u32(..4) {
        0 => (
            "delay",
            Rule {
                delay: ms(stage.rng.u64(20..120)),
                jitter: ms(stage.rng.u64(5..80)),
                ..Rule::default()
            },
        ),
        1 => (
            "loss",
            Rule {
                loss,
                ..Rule::default()
            },
        ),
        2 => (
            "reorder",
            Rule {
                jitter: ms(2),
                reorder: 0.25,
                ..Rule::default()
            },
        ),
        _ => (
            "all",
            Rule {
                delay: ms(10),
                jitter: ms(40),
                loss: loss / 2.0,
                reorder: 0.1,
                ..Rule::default()
            },
        ),
    }
}

/// Makes links bad, lets time pass, and heals them.
pub(super) async fn strike(stage: &mut Stage) -> Result<(), Error> {
    let (name, rule) = rules(stage);
    let size = stage.cluster.size() as End;
    let with_clients = stage.rng.u32(..3) == 0;
    let everywhere = stage.rng.bool();
    let bad = stage.pick(1)[0] as End;
    let mut targets = Vec::new();
    for from in 0..=size {
        for to in 0..=size {
            let is_clients = from == CLIENTS || to == CLIENTS;
            let is_meant = everywhere || from == bad || to == bad;
            if from != to && is_meant && (with_clients || !is_clients) {
                stage.cluster.rules.set(from, to, rule);
                targets.push(link_name(from, to));
            }
        }
    }
    let open = stage.begin(&format!("packet-{name}"), targets);
    stage.last(true).await;
    stage.cluster.rules.heal();
    let counts = stage.counts(&open);
    let evidence = format!(
        "{} frames late, {} lost, {} overtaken, of {}",
        counts.delayed, counts.lost, counts.reordered, counts.passed
    );
    stage.end(open, counts.touched() > 0, evidence);
    Ok(())
}
