//! Damage that a crash cannot cause is refused, with the place; what a crash can cause is not.

use weir_journal::{Identity, OpenError, Options};

use crate::{
    sim::{Sim, SimDisk},
    support::{SEGMENT, all, ignore, key, open, open_error, put, settle, small},
};

/// A journal of one group with `entries` entries, one frame each, closed.
fn filled(entries: u64) -> SimDisk {
    let disk = Sim::disk(1);
    let (journal, _, mut stepper) = open(&disk, small());
    for index in 0..entries {
        put(&journal, &mut stepper, 1, index, vec![index as u8 + 1; 500]);
    }
    disk
}

fn first_segment(disk: &SimDisk) -> String {
    disk.0.names().into_iter().find(|name| name.ends_with(".seg")).unwrap()
}

fn flip(disk: &SimDisk, name: &str, offset: usize) {
    let byte = disk.0.bytes(name)[offset];
    disk.0.damage(name, offset, &[byte ^ 0x20]);
}

/// Offset of the frame that holds entry `byte`, whose payload is that number plus one.
fn frame_of(disk: &SimDisk, name: &str, byte: u8) -> usize {
    let bytes = disk.0.bytes(name);
    let at = bytes
        .windows(500)
        .position(|window| window.iter().all(|b| *b == byte + 1))
        .unwrap();
    at - 52 - 40
}

#[test]
fn damage_between_valid_frames_is_refused_and_named() {
    for inside in [0, 12, 36, 40, 45, 60, 400] {
        let disk = filled(10);
        let name = first_segment(&disk);
        let frame = frame_of(&disk, &name, 4);
        flip(&disk, &name, frame + inside);
        let error = open_error(&disk, small());
        let OpenError::Damaged(damage) = &error else {
            panic!("{error}")
        };
        assert!(damage.path.ends_with(&name), "{error}");
        assert_eq!(damage.offset, frame as u64, "{error}");
        assert_eq!(damage.expected, "frame 5", "{error}");
        assert!(damage.found.contains("a later frame 6 at byte"), "{error}");
    }
}

#[test]
fn every_flipped_bit_before_the_last_frame_is_refused() {
    let disk = filled(6);
    let name = first_segment(&disk);
    let end = frame_of(&disk, &name, 5);
    let padding = |at: usize| {
        (76..4096).contains(&at)
            || (0..5)
                .any(|entry| (frame_of(&disk, &name, entry) + 592..frame_of(&disk, &name, entry + 1)).contains(&at))
    };
    for at in (0..end).step_by(7).filter(|at| !padding(*at)) {
        flip(&disk, &name, at);
        let error = open_error(&disk, small());
        assert!(
            matches!(error, OpenError::Damaged(_) | OpenError::Version { .. }),
            "byte {at}: {error}"
        );
        flip(&disk, &name, at);
    }
    let (journal, _, _stepper) = open(&disk, small());
    assert_eq!(all(&journal, 1).len(), 6);
}

#[test]
fn a_torn_last_frame_is_cut_and_reported() {
    let disk = filled(10);
    let name = first_segment(&disk);
    let frame = frame_of(&disk, &name, 9);
    flip(&disk, &name, frame + 300);
    let (journal, recovered, mut stepper) = open(&disk, small());
    let cut = recovered.cut.unwrap();
    assert_eq!((cut.offset, cut.bytes), (frame as u64, 592));
    assert_eq!(all(&journal, 1).len(), 9);
    // And its place is written again.
    put(&journal, &mut stepper, 1, 9, vec![77; 500]);
    drop((journal, stepper));
    let (journal, recovered, _stepper) = open(&disk, small());
    assert_eq!(recovered.cut, None);
    assert_eq!(all(&journal, 1)[9].payload[0], 77);
}

#[test]
fn after_a_clean_close_damage_to_the_last_entry_is_refused() {
    let disk = Sim::disk(1);
    let (journal, _, mut stepper) = open(&disk, small());
    for index in 0..3 {
        put(&journal, &mut stepper, 1, index, vec![index as u8 + 1; 500]);
    }
    journal.close();
    settle(&mut stepper);
    let name = first_segment(&disk);
    flip(&disk, &name, frame_of(&disk, &name, 2) + 300);
    assert!(matches!(open_error(&disk, small()), OpenError::Damaged(_)));
}

#[test]
fn damage_at_the_end_of_a_full_segment_is_refused() {
    let disk = filled(60);
    let name = first_segment(&disk);
    let bytes = disk.0.bytes(&name);
    let last = (0..60u8)
        .rev()
        .find(|byte| bytes.windows(500).any(|window| window.iter().all(|b| *b == byte + 1)))
        .unwrap();
    assert!(last < 59, "the entries fill more than one segment");
    flip(&disk, &name, frame_of(&disk, &name, last) + 200);
    let error = open_error(&disk, small());
    let OpenError::Damaged(damage) = &error else {
        panic!("{error}")
    };
    assert_eq!(damage.expected, format!("frame {}", u64::from(last) + 1), "{error}");
}

#[test]
fn a_missing_segment_is_refused() {
    let disk = filled(60);
    let segments: Vec<String> = disk.0.names();
    weir_journal::Disk::remove(&disk, segments[1].as_ref()).unwrap();
    let error = open_error(&disk, small());
    assert!(error.to_string().contains("no such file"), "{error}");
    assert!(error.to_string().contains(&segments[1]), "{error}");
}

#[test]
fn a_segment_of_another_owner_is_refused() {
    let disk = filled(1);
    for identity in [
        Identity {
            cluster: [1; 16],
            node: [9; 16],
        },
        Identity {
            cluster: [7; 16],
            node: [1; 16],
        },
    ] {
        let error = open_error(&disk, Options { identity, ..small() });
        assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
        assert!(error.to_string().contains("cluster 07070707"), "{error}");
    }
}

#[test]
fn a_segment_under_another_name_is_refused() {
    let disk = filled(60);
    let names = disk.0.names();
    weir_journal::Disk::rename(&disk, names[0].as_ref(), names[1].as_ref()).unwrap();
    let error = open_error(&disk, small());
    assert!(error.to_string().contains("expected segment 2 of"), "{error}");
}

#[test]
fn a_damaged_header_is_refused_while_its_segment_is_needed() {
    let disk = filled(60);
    let names = disk.0.names();
    for name in names.iter().filter(|name| name.ends_with(".seg")) {
        flip(&disk, name, 50);
        assert!(matches!(open_error(&disk, small()), OpenError::Damaged(_)), "{name}");
        flip(&disk, name, 50);
    }
    open(&disk, small());
}

#[test]
fn a_shortened_segment_is_refused() {
    let disk = filled(3);
    let name = first_segment(&disk);
    let bytes = disk.0.bytes(&name);
    let copy = weir_journal::Disk::create(&disk, name.as_ref()).unwrap();
    copy.write_at(&bytes[..SEGMENT as usize - 512], 0).unwrap();
    assert!(matches!(open_error(&disk, small()), OpenError::Damaged(_)));
}

#[test]
fn a_damaged_entry_is_not_returned() {
    let disk = filled(10);
    let (journal, _, _stepper) = open(&disk, small());
    let name = first_segment(&disk);
    flip(&disk, &name, frame_of(&disk, &name, 4) + 300);
    let error = journal.read(key(1), 4..5, u64::MAX).unwrap_err();
    assert!(error.to_string().contains("expected entry 4 of group 1"), "{error}");
    assert_eq!(journal.read(key(1), 5..6, u64::MAX).unwrap().len(), 1);
}

#[test]
fn a_client_cannot_write_frames_into_its_payload() {
    // A whole valid segment as a payload, torn: nothing in it may pass for a later frame.
    let disk = filled(10);
    let inner = disk.0.bytes(&first_segment(&disk))[4096..].to_vec();
    let (journal, _, mut stepper) = open(&disk, small());
    put(&journal, &mut stepper, 2, 0, inner[..4000].to_vec());
    let name = first_segment(&disk);
    let bytes = disk.0.bytes(&name);
    let at = bytes
        .windows(4000)
        .rposition(|window| window == &inner[..4000])
        .unwrap();
    assert!(at > 4096, "the copy, not the original");
    drop((journal, stepper));
    flip(&disk, &name, at - 20);
    let (journal, recovered, _stepper) = open(&disk, small());
    assert!(recovered.cut.is_some());
    assert_eq!(all(&journal, 1).len(), 10);
    assert!(all(&journal, 2).is_empty());
    journal.barrier(key(1), ignore()).unwrap();
}
