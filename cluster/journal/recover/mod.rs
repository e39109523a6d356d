//! Opening existing files. Reads everything, writes nothing but the last frame over itself, needs no space.

mod replay;
mod scan;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    disk::Disk,
    error::{Damage, OpenError, is_space},
    format::header::{HeaderError, SegmentHeader, VERSION, describe},
    group::Inner,
    limits::{MAX_SEGMENT_BYTES, Options, SEGMENT_HEADER_BYTES},
    segment::{self, Segment},
    types::ReplicaKey,
};

use scan::{Scanner, Walk};

/// A torn frame at the end of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The segment it is in.
    pub path: PathBuf,
    /// Where it starts.
    pub offset: u64,
    /// Bytes it was to have.
    pub bytes: u64,
}

/// A journal read back from its files.
pub(crate) struct Loaded {
    pub(crate) groups: HashMap<ReplicaKey, Inner>,
    /// Segments with live records, and the tail.
    pub(crate) segments: BTreeMap<u32, Arc<Segment>>,
    pub(crate) tail: Arc<Segment>,
    /// Where the next frame goes in the tail.
    pub(crate) offset: u64,
    pub(crate) next_frame: u64,
    pub(crate) oldest: u32,
    /// Segments that were prepared and not used yet.
    pub(crate) ready: VecDeque<Arc<Segment>>,
    /// Segments that are not needed any more.
    pub(crate) free: Vec<Arc<Segment>>,
    /// Files that hold nothing and are no segments.
    pub(crate) leftovers: Vec<String>,
    pub(crate) cut: Option<Cut>,
    pub(crate) frames: u64,
}

impl Loaded {
    /// An empty journal with its first segment.
    pub(crate) fn new(tail: Arc<Segment>) -> Self {
        Loaded {
            groups: HashMap::new(),
            segments: BTreeMap::from([(tail.number, tail.clone())]),
            offset: SEGMENT_HEADER_BYTES,
            next_frame: 1,
            oldest: tail.number,
            ready: VecDeque::new(),
            free: Vec::new(),
            leftovers: Vec::new(),
            cut: None,
            frames: 0,
            tail,
        }
    }

    /// Number of the next segment to be prepared.
    pub(crate) fn next_number(&self) -> u32 {
        self.tail.number + self.ready.len() as u32 + 1
    }
}

/// A file with the name of a segment: damage is kept for later, it matters only if the segment does.
type Candidate = Result<Arc<Segment>, OpenError>;

/// Reads the journal in `dir`; `None` when there is none.
pub(crate) fn load(dir: &Path, options: &Options, disk: &dyn Disk) -> Result<Option<Loaded>, OpenError> {
    let mut leftovers = Vec::new();
    let mut candidates = BTreeMap::new();
    for name in disk.list(dir).map_err(OpenError::io("list", dir))? {
        if let Some(number) = segment::parse_name(&name) {
            candidates.insert(number, open_segment(dir, number, options, disk)?);
        } else if segment::is_spare_name(&name) {
            leftovers.push(name);
        }
    }
    if candidates.is_empty() {
        return Ok(None);
    }
    let mut scanner = Scanner::default();
    let (tail, end) = find_tail(&mut candidates, &mut scanner)?;
    let oldest = end.last.map_or(tail.number, |last| last.oldest);
    let mut loaded = Loaded {
        leftovers,
        oldest,
        ..Loaded::new(tail.clone())
    };
    sort_segments(dir, candidates, &mut loaded, options)?;
    replay::replay(dir, &mut loaded, &mut scanner)?;
    loaded.offset = end.offset;
    loaded.next_frame = end.last.map_or(1, |last| last.number + 1);
    loaded.cut = end.torn_bytes.map(|bytes| Cut {
        path: tail.path.clone(),
        offset: end.offset,
        bytes,
    });
    settle(dir, &tail, &end, disk)?;
    for inner in loaded.groups.values_mut() {
        inner.adopt_disk();
    }
    Ok(Some(loaded))
}

/// Opens one file and checks whose it is.
fn open_segment(dir: &Path, number: u32, options: &Options, disk: &dyn Disk) -> Result<Candidate, OpenError> {
    let path = segment::path_of(dir, number);
    let file = disk.open(&path).map_err(OpenError::io("open", &path))?;
    let size = file.size().map_err(OpenError::io("read the size of", &path))?;
    let damaged = |expected: String, found: String| {
        Ok(Err(Damage {
            path: path.clone(),
            offset: 0,
            expected,
            found,
        }
        .into()))
    };
    if size <= SEGMENT_HEADER_BYTES || size > MAX_SEGMENT_BYTES {
        return damaged("a segment".into(), format!("a file of {size} bytes"));
    }
    let mut page = vec![0; SEGMENT_HEADER_BYTES as usize];
    file.read_at(&mut page, 0).map_err(OpenError::io("read", &path))?;
    let (header, seed) = match SegmentHeader::decode(&page) {
        Ok(decoded) => decoded,
        Err(HeaderError::Version { found }) => {
            return Err(OpenError::Version {
                path,
                expected: VERSION,
                found,
            });
        }
        Err(HeaderError::Damaged { expected, found }) => return damaged(expected, found),
    };
    if header.identity != options.identity {
        let (expected, found) = (describe(&options.identity), describe(&header.identity));
        return Err(OpenError::Foreign { path, expected, found });
    }
    if header.number != u64::from(number) || header.bytes != size {
        return damaged(
            format!("segment {number} of {size} bytes"),
            format!("segment {} of {} bytes", header.number, header.bytes),
        );
    }
    Ok(Ok(Arc::new(Segment {
        number,
        seed,
        bytes: size,
        path,
        file,
    })))
}

/// The last segment with a frame in it, and where its frames end. Segments after it are prepared ones.
fn find_tail(
    candidates: &mut BTreeMap<u32, Candidate>,
    scanner: &mut Scanner,
) -> Result<(Arc<Segment>, Walk), OpenError> {
    let mut lowest = None;
    for number in candidates.keys().rev().copied().collect::<Vec<_>>() {
        let segment = match candidates.get(&number) {
            Some(Ok(segment)) => segment.clone(),
            // It may be the tail.
            _ => candidates.remove(&number).unwrap_or_else(|| Err(no_frames(None)))?,
        };
        let end = scanner.walk(&segment, None, |_, _| Ok(()))?;
        if end.last.is_some() {
            return Ok((segment, end));
        }
        lowest = Some((segment, end));
    }
    match lowest {
        // Only the first segment of a journal can be without any frame before it.
        Some((segment, end)) if segment.number == 1 => Ok((segment, end)),
        other => Err(no_frames(other.map(|(segment, _)| segment))),
    }
}

fn no_frames(segment: Option<Arc<Segment>>) -> OpenError {
    OpenError::Damaged(Damage {
        path: segment.map(|segment| segment.path.clone()).unwrap_or_default(),
        offset: SEGMENT_HEADER_BYTES,
        expected: "a frame: an older segment was given up for it".into(),
        found: "none in any segment".into(),
    })
}

/// Tells live segments from prepared and from unneeded ones.
fn sort_segments(
    dir: &Path,
    candidates: BTreeMap<u32, Candidate>,
    loaded: &mut Loaded,
    options: &Options,
) -> Result<(), OpenError> {
    let tail = loaded.tail.number;
    for (number, candidate) in candidates {
        match candidate {
            // Damage in a segment that nobody needs is of no interest.
            Err(_) if number < loaded.oldest => {
                loaded.leftovers.push(segment::name_of(number));
            }
            Err(error) => return Err(error),
            Ok(segment) if number < loaded.oldest => loaded.free.push(segment),
            Ok(segment) if number <= tail => {
                loaded.segments.insert(number, segment);
            }
            // The writer takes prepared segments without a gap and counts on their size.
            Ok(segment) if segment.bytes == options.segment_bytes && number == tail + 1 + loaded.ready.len() as u32 => {
                loaded.ready.push_back(segment);
            }
            // Deleted by name, before a segment of that number is made again.
            Ok(_) => loaded.leftovers.push(segment::name_of(number)),
        }
    }
    for number in loaded.oldest..tail {
        if !loaded.segments.contains_key(&number) {
            return Err(Damage {
                path: segment::path_of(dir, number),
                offset: 0,
                expected: format!("segments {} to {tail}", loaded.oldest),
                found: "no such file".into(),
            }
            .into());
        }
    }
    Ok(())
}

/// Makes what was read durable before anybody is told of it: after a kill it may be in the page cache only, and after
/// a failed sync it may look clean there without being on the disk. So the last frame is written over itself.
fn settle(dir: &Path, tail: &Segment, end: &Walk, disk: &dyn Disk) -> Result<(), OpenError> {
    if !end.last_bytes.is_empty()
        && let Err(error) = tail.file.write_at(&end.last_bytes, end.last_offset)
        // A file system that never overwrites in place can be too full for this. It also has no failed overwrites.
        && !is_space(&error)
    {
        return Err(OpenError::Io {
            action: "write",
            path: tail.path.clone(),
            source: error,
        });
    }
    tail.file.sync().map_err(OpenError::io("sync", &tail.path))?;
    disk.sync_dir(dir).map_err(OpenError::io("sync", dir))
}
