//! What the network does to what travels between two ends, and what it has done so far. Pure: no sockets, no clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One end of a link: the clients, or a node by its number.
pub type End = usize;

/// The end at which all clients are. Nodes count from 1.
pub const CLIENTS: End = 0;

/// What happens on the way from one end to another. The way back has a rule of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rule {
    /// Nothing arrives.
    pub cut: bool,
    /// How long everything takes.
    pub delay: Duration,
    /// How much longer it may take, at random; the order stays.
    pub jitter: Duration,
    /// How many of all frames are lost, from 0 to 1.
    pub loss: f64,
    /// How many of all frames are overtaken by later ones, from 0 to 1.
    pub reorder: f64,
}

impl Rule {
    /// The rule under which nothing arrives.
    pub const CUT: Self = Self {
        cut: true,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        loss: 0.0,
        reorder: 0.0,
    };
}

/// How much later than others an overtaken frame comes, at the most.
const REORDER_DELAY: Duration = Duration::from_millis(30);

/// What was done to frames so far. Says whether a fault had anything to act on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Frames that passed, late or not.
    pub passed: u64,
    /// Frames that met a cut link.
    pub cut: u64,
    /// Frames lost at random.
    pub lost: u64,
    /// Frames held back by a delay or jitter.
    pub delayed: u64,
    /// Frames let out behind later ones.
    pub reordered: u64,
}

impl Counts {
    /// Frames that a fault acted on.
    #[must_use]
    pub fn touched(&self) -> u64 {
        self.cut + self.lost + self.delayed + self.reordered
    }

    /// What was done since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            passed: self.passed - earlier.passed,
            cut: self.cut - earlier.cut,
            lost: self.lost - earlier.lost,
            delayed: self.delayed - earlier.delayed,
            reordered: self.reordered - earlier.reordered,
        }
    }
}

/// What becomes of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It never arrives.
    Gone,
    /// It arrives this much later, and not before the one that was sent before it.
    Late(Duration),
    /// It arrives this much later, and others may overtake it.
    Overtaken(Duration),
}

struct State {
    links: BTreeMap<(End, End), Rule>,
    counts: Counts,
    rng: fastrand::Rng,
}

/// The rules of all links, shared by who sets them and who carries frames.
#[derive(Clone)]
pub struct Rules(Arc<Mutex<State>>);

impl Rules {
    /// No fault on any link. Everything random follows from `seed` and the order of the frames.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            links: BTreeMap::new(),
            counts: Counts::default(),
            rng: fastrand::Rng::with_seed(seed),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on `rule` holds from `from` to `to`.
    pub fn set(&self, from: End, to: End, rule: Rule) {
        self.state().links.insert((from, to), rule);
    }

    /// `rule` in both directions.
    pub fn set_both(&self, one: End, other: End, rule: Rule) {
        self.set(one, other, rule);
        self.set(other, one, rule);
    }

    /// From now on everything passes at once on all links.
    pub fn heal(&self) {
        self.state().links.clear();
    }

    /// From now on everything passes at once on all links of one end.
    pub fn heal_end(&self, end: End) {
        self.state().links.retain(|(from, to), _| *from != end && *to != end);
    }

    /// What was done so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// The rule between two ends.
    #[must_use]
    pub fn rule(&self, from: End, to: End) -> Rule {
        self.state().links.get(&(from, to)).copied().unwrap_or_default()
    }

    /// What becomes of the next frame from `from` to `to`.
    pub(crate) fn next(&self, from: End, to: End) -> Fate {
        let mut state = self.state();
        let State { links, counts, rng } = &mut *state;
        let rule = links.get(&(from, to)).copied().unwrap_or_default();
        if rule.cut {
            counts.cut += 1;
            return Fate::Gone;
        }
        if rule.loss > 0.0 && rng.f64() < rule.loss {
            counts.lost += 1;
            return Fate::Gone;
        }
        counts.passed += 1;
        let late = rule.delay + rule.jitter.mul_f64(rng.f64());
        if late > Duration::ZERO {
            counts.delayed += 1;
        }
        if rule.reorder > 0.0 && rng.f64() < rule.reorder {
            counts.reordered += 1;
            return Fate::Overtaken(late + REORDER_DELAY.mul_f64(rng.f64()));
        }
        Fate::Late(late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_one_way_and_counted() {
        let rules = Rules::new(1);
        rules.set(1, 2, Rule::CUT);
        assert_eq!(rules.next(1, 2), Fate::Gone);
        assert_eq!(rules.next(2, 1), Fate::Late(Duration::ZERO));
        let counts = rules.counts();
        assert_eq!((counts.cut, counts.passed, counts.touched()), (1, 1, 1));
        rules.heal();
        assert_eq!(rules.next(1, 2), Fate::Late(Duration::ZERO));
        assert_eq!(rules.counts().since(&counts).touched(), 0);
    }

    #[test]
    fn loss_and_reordering_come_about_as_often_as_asked() {
        let rules = Rules::new(7);
        let rule = Rule {
            loss: 0.2,
            reorder: 0.1,
            delay: Duration::from_millis(5),
            ..Rule::default()
        };
        rules.set_both(1, 2, rule);
        for _ in 0..10_000 {
            rules.next(1, 2);
        }
        let counts = rules.counts();
        assert!((1800..2200).contains(&counts.lost), "{counts:?}");
        assert!((650..950).contains(&counts.reordered), "{counts:?}");
        assert_eq!(counts.delayed, counts.passed);
    }

    #[test]
    fn the_same_seed_gives_the_same_fates() {
        let fates = |seed| {
            let rules = Rules::new(seed);
            let rule = Rule {
                loss: 0.5,
                jitter: Duration::from_millis(9),
                ..Rule::default()
            };
            rules.set(0, 1, rule);
            (0..100).map(|_| rules.next(0, 1)).collect::<Vec<_>>()
        };
        assert_eq!(fates(3), fates(3));
        assert_ne!(fates(3), fates(4));
    }
}
