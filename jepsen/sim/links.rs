//! Which hosts reach which: several cuts may be in force at a time.

use std::collections::BTreeMap;

use turmoil::Sim;

use crate::fault::Fault;
use crate::network::node_name;
use crate::world::CLIENTS;

/// What happens to packets on a pair of hosts, each way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Link {
    drops: bool,
    drops_back: bool,
    holds: bool,
}

/// All cuts in force. Host 0 is the clients'.
pub(crate) struct Links {
    nodes: usize,
    cuts: BTreeMap<u64, Fault>,
    links: BTreeMap<(usize, usize), Link>,
}

fn name(host: usize) -> String {
    match host {
        0 => CLIENTS.to_owned(),
        node => node_name(node),
    }
}

impl Links {
    /// Between so many nodes and the clients, all whole.
    #[must_use]
    pub(crate) fn new(nodes: usize) -> Self {
        let pairs = (0..=nodes).flat_map(|one| (one + 1..=nodes).map(move |other| (one, other)));
        Self {
            nodes,
            cuts: BTreeMap::new(),
            links: pairs.map(|pair| (pair, Link::default())).collect(),
        }
    }

    /// Begins a cut.
    pub(crate) fn cut(&mut self, sim: &Sim<'_>, id: u64, fault: &Fault) {
        self.cuts.insert(id, fault.clone());
        self.update(sim);
    }

    /// Ends a cut.
    pub(crate) fn mend(&mut self, sim: &Sim<'_>, id: u64) {
        self.cuts.remove(&id);
        self.update(sim);
    }

    /// Loses all packets from and to a node, until [`Links::apply_all`].
    pub(crate) fn silence(&self, sim: &Sim<'_>, node: usize) {
        for other in (0..=self.nodes).filter(|other| *other != node) {
            sim.partition(name(node), name(other));
        }
    }

    /// Puts every link into the state that it should have.
    pub(crate) fn apply_all(&self, sim: &Sim<'_>) {
        for (pair, link) in &self.links {
            apply(sim, *pair, *link);
        }
    }

    fn wanted(&self, (one, other): (usize, usize)) -> Link {
        let mut link = Link::default();
        for cut in self.cuts.values() {
            match cut {
                Fault::Partition(left, right) => {
                    let is_cut = crosses(left, right, one, other);
                    link.drops |= is_cut;
                    link.drops_back |= is_cut;
                }
                Fault::OneWay(from, to) => {
                    link.drops |= from.contains(&one) && to.contains(&other);
                    link.drops_back |= from.contains(&other) && to.contains(&one);
                }
                Fault::Hold(left, right) => link.holds |= crosses(left, right, one, other),
                Fault::Unreachable(node) if one == 0 && other == *node => {
                    (link.drops, link.drops_back) = (true, true);
                }
                _ => {}
            }
        }
        link
    }

    fn update(&mut self, sim: &Sim<'_>) {
        let pairs: Vec<_> = self.links.keys().copied().collect();
        for pair in pairs {
            let wanted = self.wanted(pair);
            let before = self.links.insert(pair, wanted);
            if before != Some(wanted) {
                if before.is_some_and(|before| before.holds) {
                    sim.release(name(pair.0), name(pair.1));
                }
                apply(sim, pair, wanted);
            }
        }
    }
}

fn crosses(left: &[usize], right: &[usize], one: usize, other: usize) -> bool {
    (left.contains(&one) && right.contains(&other)) || (left.contains(&other) && right.contains(&one))
}

fn apply(sim: &Sim<'_>, (one, other): (usize, usize), link: Link) {
    let (one, other) = (name(one), name(other));
    match (link.drops, link.drops_back) {
        (true, true) => return sim.partition(one, other),
        (false, false) if link.holds => return sim.hold(one, other),
        _ => {}
    }
    sim.repair(one.clone(), other.clone());
    if link.drops {
        sim.partition_oneway(one, other);
    } else if link.drops_back {
        sim.partition_oneway(other, one);
    }
}
