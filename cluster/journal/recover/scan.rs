//! Walking the frames of one segment.

use crate::{
    error::{Damage, OpenError},
    format::{
        frame::{FRAME_ALIGN, FRAME_HEADER_BYTES, FrameHeader},
        record::{self, Record},
    },
    limits::SEGMENT_HEADER_BYTES,
    segment::Segment,
};

const CHUNK_BYTES: u64 = 4 << 20;

/// Where the frames of a segment end.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// Behind the last valid frame.
    pub(crate) offset: u64,
    pub(crate) frames: u64,
    /// The last valid frame.
    pub(crate) last: Option<Last>,
    pub(crate) last_offset: u64,
    /// Its bytes, padding excluded.
    pub(crate) last_bytes: Vec<u8>,
    /// Bytes that a torn frame at `offset` was to have.
    pub(crate) torn_bytes: Option<u64>,
}

/// What the header of a frame says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Last {
    pub(crate) number: u64,
    pub(crate) oldest: u32,
}

/// Reads segments through one buffer.
#[derive(Default)]
pub(crate) struct Scanner {
    buffer: Vec<u8>,
}

impl Scanner {
    /// Calls `each` with the records of each valid frame, in order. The first frame must have the number `expected`,
    /// if that is known; each other follows the one before it. Refuses a segment with a valid frame behind an invalid
    /// one: a frame is written when the one before it is synced, so no crash leaves that behind.
    pub(crate) fn walk(
        &mut self,
        segment: &Segment,
        mut expected: Option<u64>,
        mut each: impl FnMut(FrameHeader, &[Record<'_>]) -> Result<(), OpenError>,
    ) -> Result<Walk, OpenError> {
        self.buffer.clear();
        let mut last_end = 0;
        let mut walk = Walk {
            offset: SEGMENT_HEADER_BYTES,
            ..Walk::default()
        };
        while let Some(header) = self.header_at(segment, walk.offset)? {
            let damage = |expected: String, found: String| Damage {
                path: segment.path.clone(),
                offset: walk.offset,
                expected,
                found,
            };
            if let Some(number) = expected
                && header.number != number
            {
                return Err(damage(format!("frame {number}"), format!("frame {}", header.number)).into());
            }
            let end = walk.offset + u64::from(header.length);
            if end > segment.bytes {
                let left = segment.bytes - walk.offset;
                let found = format!("a frame of {} bytes", header.length);
                return Err(damage(format!("a frame of at most {left} bytes"), found).into());
            }
            self.fill(segment, end)?;
            let frame = &self.buffer[walk.offset as usize..end as usize];
            let body = &frame[FRAME_HEADER_BYTES..];
            if !header.matches(body, segment.seed, walk.offset) {
                walk.torn_bytes = Some(u64::from(header.length));
                break;
            }
            let records = record::decode_all(body, walk.offset + FRAME_HEADER_BYTES as u64, header.count)
                .ok_or_else(|| damage(format!("{} records", header.count), "something else".into()))?;
            let oldest = u32::try_from(header.oldest)
                .ok()
                .filter(|oldest| *oldest <= segment.number)
                .ok_or_else(|| damage("an older segment".into(), format!("segment {}", header.oldest)))?;
            each(header, &records)?;
            walk.frames += 1;
            walk.last = Some(Last {
                number: header.number,
                oldest,
            });
            walk.last_offset = walk.offset;
            last_end = end;
            expected = Some(header.number + 1);
            walk.offset = header.end(walk.offset).min(segment.bytes);
        }
        self.refuse_later_frames(segment, &walk, expected)?;
        if walk.last.is_some() {
            walk.last_bytes = self.buffer[walk.last_offset as usize..last_end as usize].to_vec();
        }
        Ok(walk)
    }

    fn refuse_later_frames(&mut self, segment: &Segment, walk: &Walk, expected: Option<u64>) -> Result<(), OpenError> {
        let mut offset = walk.offset + FRAME_ALIGN;
        while offset + FRAME_HEADER_BYTES as u64 <= segment.bytes {
            if let Some(later) = self.header_at(segment, offset)? {
                return Err(Damage {
                    path: segment.path.clone(),
                    offset: walk.offset,
                    expected: match expected {
                        Some(number) => format!("frame {number}"),
                        None => "the segment's first frame".into(),
                    },
                    found: format!("none, but a later frame {} at byte {offset}", later.number),
                }
                .into());
            }
            offset += FRAME_ALIGN;
        }
        Ok(())
    }

    fn header_at(&mut self, segment: &Segment, offset: u64) -> Result<Option<FrameHeader>, OpenError> {
        let end = offset + FRAME_HEADER_BYTES as u64;
        if end > segment.bytes {
            return Ok(None);
        }
        self.fill(segment, end)?;
        Ok(FrameHeader::decode(
            &self.buffer[offset as usize..],
            segment.seed,
            offset,
        ))
    }

    /// Reads the segment up to `end` at least.
    fn fill(&mut self, segment: &Segment, end: u64) -> Result<(), OpenError> {
        let have = self.buffer.len() as u64;
        if have >= end {
            return Ok(());
        }
        let target = end.max(have + CHUNK_BYTES).min(segment.bytes);
        self.buffer.resize(target as usize, 0);
        segment
            .file
            .read_at(&mut self.buffer[have as usize..], have)
            .map_err(OpenError::io("read", &segment.path))
    }
}
