//! Applying the records of the live segments, in order.

use std::{collections::HashMap, path::Path, sync::Arc};

use crate::{
    error::{Damage, OpenError},
    format::record::{Kind, Meta, Record},
    group::Inner,
    index::Place,
    recover::{Loaded, scan::Scanner},
    segment::Segment,
    types::ReplicaKey,
};

/// Replays every live segment into `loaded.groups`.
pub(crate) fn replay(dir: &Path, loaded: &mut Loaded, scanner: &mut Scanner) -> Result<(), OpenError> {
    let segments: Vec<Arc<Segment>> = loaded.segments.values().cloned().collect();
    let mut expected: Option<u64> = None;
    let groups = &mut loaded.groups;
    for segment in &segments {
        let walk = scanner.walk(segment, expected, |_, records| {
            records.iter().try_for_each(|record| apply(groups, segment, record))
        })?;
        if segment.number < loaded.tail.number && walk.last.is_none() {
            return Err(Damage {
                path: segment.path.clone(),
                offset: walk.offset,
                expected: expected.map_or("a frame".into(), |number| format!("frame {number}")),
                found: format!("none, although segment {} has frames", segment.number + 1),
            }
            .into());
        }
        expected = walk.last.map(|last| last.number + 1).or(expected);
        loaded.frames += walk.frames;
    }
    for (key, inner) in groups.iter() {
        check_log(dir, *key, inner)?;
    }
    Ok(())
}

fn apply(groups: &mut HashMap<ReplicaKey, Inner>, segment: &Segment, record: &Record<'_>) -> Result<(), OpenError> {
    let header = record.header;
    let damage = |expected: &str, found: String| Damage {
        path: segment.path.clone(),
        offset: record.offset,
        expected: expected.to_string(),
        found,
    };
    if header.kind == Kind::Removed {
        groups.remove(&header.key);
        return Ok(());
    }
    let disk = &mut groups.entry(header.key).or_default().disk;
    match header.kind {
        Kind::Entry | Kind::Moved => {
            // There may be a gap for now: entries of a segment that is gone stand, moved, further on.
            if header.kind == Kind::Entry && disk.index.last().is_some_and(|last| last >= header.id.index) {
                let found = format!("entry {} after entry {:?}", header.id.index, disk.index.last());
                return Err(damage("an entry at the end of the log", found).into());
            }
            let (offset, length) = (record.offset as u32, record.payload.len() as u32);
            disk.place(
                header.id,
                Place {
                    segment: segment.number,
                    offset,
                    length,
                },
            );
        }
        Kind::TruncateAfter => disk.truncate(Some(header.id.index)),
        Kind::TruncateAll => disk.truncate(None),
        Kind::State => {
            let meta = Meta::decode(record.payload).ok_or_else(|| damage("a replica's state", "other bytes".into()))?;
            disk.set_meta(meta, segment.number);
        }
        Kind::Committed => {
            let meta = Meta::decode(record.payload).ok_or_else(|| damage("a position", "other bytes".into()))?;
            disk.meta.committed = meta.committed;
        }
        Kind::Removed => {}
    }
    Ok(())
}

/// A log without holes, that starts where it was purged.
fn check_log(dir: &Path, key: ReplicaKey, inner: &Inner) -> Result<(), OpenError> {
    let index = &inner.disk.index;
    let (Some(first), Some(last)) = (index.first(), index.last()) else {
        return Ok(());
    };
    let purged = inner.disk.meta.purged;
    let misplaced = purged.is_some_and(|purged| purged.index + 1 != first);
    if misplaced || last - first + 1 != index.count() {
        return Err(Damage {
            path: dir.to_path_buf(),
            offset: 0,
            expected: format!(
                "the entries of group {} replica {} without a hole",
                key.group, key.replica
            ),
            found: format!(
                "{} entries from {first} to {last}, purged up to {purged:?}",
                index.count()
            ),
        }
        .into());
    }
    Ok(())
}
