//! Partitions: links between nodes that let nothing through. Clients reach every node all the time.

use std::time::Duration;

use super::stage::{Stage, names};
use crate::cluster::{Error, link_name};
use crate::net::{End, Rule};

/// One shape of a partition.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// One node alone.
    One,
    /// A node that leads some group, alone.
    Leader,
    /// A majority and a minority.
    Halves,
    /// Every node sees a majority, and no two the same one.
    Ring,
    /// One node is heard and hears nothing, or the other way round.
    OneWay,
    /// One node alone, and not, and alone again.
    Flapping,
}

/// Cuts links, lets time pass, and heals them.
pub(super) async fn strike(stage: &mut Stage) -> Result<(), Error> {
    let shapes = [
        Shape::One,
        Shape::Leader,
        Shape::Leader,
        Shape::Halves,
        Shape::Ring,
        Shape::OneWay,
        Shape::Flapping,
    ];
    let shape = shapes[stage.rng.usize(..shapes.len())];
    let (name, links) = links(stage, shape).await;
    let targets = links.iter().map(|(from, to)| link_name(*from, *to)).collect();
    let open = stage.begin(&format!("partition-{name}"), targets);
    match shape {
        Shape::Flapping => {
            for _ in 0..6 {
                cut(stage, &links);
                let ms = stage.rng.u64(100..1500);
                stage.rest(Duration::from_millis(ms)).await;
                stage.cluster.rules.heal();
                let ms = stage.rng.u64(50..400);
                stage.rest(Duration::from_millis(ms)).await;
            }
        }
        _ => {
            cut(stage, &links);
            stage.last(true).await;
            stage.cluster.rules.heal();
        }
    }
    let met = stage.counts(&open).cut;
    stage.end(open, met > 0, format!("{met} frames met a cut link"));
    Ok(())
}

fn cut(stage: &Stage, links: &[(End, End)]) {
    for (from, to) in links {
        stage.cluster.rules.set(*from, *to, Rule::CUT);
    }
}

async fn links(stage: &mut Stage, shape: Shape) -> (&'static str, Vec<(End, End)>) {
    let size = stage.cluster.size();
    match shape {
        Shape::One => ("one", apart(size, &stage.pick(1))),
        Shape::Flapping => ("flapping", apart(size, &stage.pick(1))),
        Shape::Leader => match stage.a_leader().await {
            Some(leader) => ("leader", apart(size, &[leader])),
            None => ("one", apart(size, &stage.pick(1))),
        },
        Shape::Halves => {
            let minority = stage.minority();
            ("halves", apart(size, &stage.pick(minority)))
        }
        Shape::Ring => {
            let order = {
                let mut order = stage.pick(size);
                stage.rng.shuffle(&mut order);
                order
            };
            ("ring", ring(&order))
        }
        Shape::OneWay => {
            let alone = stage.pick(1);
            let deaf = stage.rng.bool();
            let links = apart(size, &alone);
            let links = links.into_iter().filter(|(from, to)| {
                let end = if deaf { to } else { from };
                names(&alone) == [format!("n{end}")]
            });
            ("one-way", links.collect())
        }
    }
}

/// All links between these nodes and the others, both ways.
fn apart(size: u32, some: &[u32]) -> Vec<(End, End)> {
    let others = (1..=size).filter(|id| !some.contains(id));
    let pairs = others.flat_map(|other| some.iter().map(move |one| (*one as End, other as End)));
    pairs.flat_map(|(one, other)| [(one, other), (other, one)]).collect()
}

/// Nodes in a ring, each of which reaches only its nearest: with itself just a majority.
fn ring(order: &[u32]) -> Vec<(End, End)> {
    let size = order.len();
    let reach = (size / 2).div_ceil(2);
    let mut links = Vec::new();
    for (at, from) in order.iter().enumerate() {
        for (other, to) in order.iter().enumerate() {
            let gap = at.abs_diff(other);
            if gap.min(size - gap) > reach {
                links.push((*from as End, *to as End));
            }
        }
    }
    // Of three nodes each is the other two's neighbour: there one link is cut, and the middle one sees both ends.
    if links.is_empty() && size == 3 {
        links = vec![(order[0] as End, order[2] as End), (order[2] as End, order[0] as End)];
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sees(size: u32, links: &[(End, End)], id: u32) -> Vec<u32> {
        let is_cut = |to: &u32| links.contains(&(id as End, *to as End));
        (1..=size).filter(|to| *to == id || !is_cut(to)).collect()
    }

    #[test]
    fn halves_see_only_themselves() {
        let links = apart(5, &[2, 4]);
        assert_eq!(sees(5, &links, 2), [2, 4]);
        assert_eq!(sees(5, &links, 1), [1, 3, 5]);
    }

    #[test]
    fn in_a_ring_each_sees_a_majority_and_no_two_the_same() {
        let links = ring(&[3, 1, 5, 2, 4]);
        let seen: Vec<Vec<u32>> = (1..=5).map(|id| sees(5, &links, id)).collect();
        assert!(seen.iter().all(|seen| seen.len() == 3), "{seen:?}");
        for (at, one) in seen.iter().enumerate() {
            assert!(!seen[at + 1..].contains(one), "{seen:?}");
        }
        let links = ring(&[2, 3, 1]);
        assert_eq!(sees(3, &links, 3), [1, 2, 3]);
        assert_eq!(sees(3, &links, 2), [2, 3]);
    }
}
