//! Giving up old segments. Only the oldest goes, so that recovery always sees an unbroken sequence; what is still
//! needed of it is written again at the end of the journal first.

use std::sync::{Arc, PoisonError};

use crate::{
    error::Failure,
    group::{Group, record_bytes},
    limits::MOVE_BYTES,
    read::read_stored,
    writer::{Move, Writer},
};

/// What all replicas together hold.
struct Survey {
    /// The oldest segment with live entries.
    oldest_entries: u32,
    /// Bytes of live entries.
    live_bytes: u64,
    /// Bytes of live entries in the oldest segment.
    front_bytes: u64,
}

impl Writer {
    /// Looks at the old segments and plans the next step towards giving up the oldest, if there is one.
    pub(crate) fn make_plan(&mut self) -> Result<(), Failure> {
        self.look = false;
        if self.oldest == self.current.number {
            return Ok(());
        }
        let groups = self.shared.all_groups();
        let survey = self.survey(&groups);
        if survey.oldest_entries > self.oldest {
            let stuck = |group: &&Arc<Group>| {
                group
                    .lock()
                    .disk
                    .meta_segment
                    .is_some_and(|segment| segment < survey.oldest_entries)
            };
            self.plan.states = groups.iter().filter(stuck).cloned().collect();
            if self.plan.states.is_empty() {
                self.oldest = survey.oldest_entries;
                self.plan.announce = true;
            }
            // Once the states are written the segments can go; once they went, the next may be movable.
            self.look = true;
        } else if self.should_move(&survey) {
            self.plan.moves = self.choose_moves(&groups)?;
            self.look = !self.plan.moves.is_empty();
        }
        Ok(())
    }

    fn survey(&self, groups: &[Arc<Group>]) -> Survey {
        let mut survey = Survey {
            oldest_entries: self.current.number,
            live_bytes: 0,
            front_bytes: 0,
        };
        for group in groups {
            let inner = group.lock();
            if let Some(oldest) = inner.disk.oldest_entries() {
                survey.oldest_entries = survey.oldest_entries.min(oldest);
            }
            for (segment, usage) in &inner.disk.usage {
                survey.live_bytes += usage.bytes;
                if *segment == self.oldest {
                    survey.front_bytes += usage.bytes;
                }
            }
        }
        survey
    }

    /// Whether rewriting the live entries of the oldest segment is worth the bytes.
    fn should_move(&self, survey: &Survey) -> bool {
        let count = u64::from(self.current.number - self.oldest) + 1;
        // At most half is live, the segment being written and one for rounding aside. Rewriting all of it, oldest first,
        // then frees more than it writes, and leaves a journal for which this no longer holds: it cannot go on forever.
        let mostly_dead = survey.live_bytes * 2 <= count.saturating_sub(2) * self.current.usable();
        let (short, room) = {
            let core = self.shared.core();
            let ready: u64 = core.ready.iter().map(|segment| segment.usable()).sum();
            (
                core.shortage || core.write_shortage,
                (core.remaining + ready).saturating_sub(core.queued_bytes),
            )
        };
        if short {
            // Frames and segment ends cost something too; a quarter more covers it.
            let needed = survey.front_bytes + survey.front_bytes / 4 + self.reserve();
            let gains = mostly_dead || survey.front_bytes * 2 <= self.current.usable();
            return gains && needed <= room;
        }
        count > self.shared.options.max_segments as u64 && mostly_dead
    }

    /// Bytes at the end of the last segment that only the journal's own records may use.
    pub(crate) fn reserve(&self) -> u64 {
        self.current.usable() / 8
    }

    /// Some live entries of the oldest segment, read back and checked.
    fn choose_moves(&self, groups: &[Arc<Group>]) -> Result<Vec<Move>, Failure> {
        let Some(segment) = self.shared.segment(self.oldest) else {
            return Ok(Vec::new());
        };
        let limit = MOVE_BYTES.min(self.current.usable() / 8);
        let mut moves = Vec::new();
        let mut bytes = 0;
        for group in groups {
            let chosen = {
                let inner = group.lock();
                let Some(usage) = inner.disk.usage.get(&self.oldest) else {
                    continue;
                };
                let mut left = usage.entries;
                let mut chosen = Vec::new();
                for (index, place, leader) in inner.disk.index.iter_from(0) {
                    if left == 0 || (bytes >= limit && !(moves.is_empty() && chosen.is_empty())) {
                        break;
                    }
                    if place.segment == self.oldest {
                        left -= 1;
                        bytes += record_bytes(place.length as usize);
                        chosen.push((crate::types::LogId { leader, index }, place));
                    }
                }
                chosen
            };
            for (id, from) in chosen {
                let payload = read_stored(group.key, id, from, segment.clone())
                    .map_err(|error| Failure::new(format!("cannot move an old entry: {error}")))?;
                moves.push(Move {
                    group: group.clone(),
                    id,
                    from,
                    payload,
                });
            }
            if bytes >= limit {
                break;
            }
        }
        Ok(moves)
    }

    /// Gives up the segments that the frame just synced declared unneeded.
    pub(crate) fn free_segments(&mut self) {
        if self.kept == self.oldest {
            return;
        }
        let mut segments = self.shared.segments.write().unwrap_or_else(PoisonError::into_inner);
        let mut freed = Vec::new();
        while self.kept < self.oldest {
            freed.extend(segments.remove(&self.kept));
            self.kept += 1;
        }
        drop(segments);
        self.shared.core().free.extend(freed);
        self.shared.prepare.notify_all();
    }
}
