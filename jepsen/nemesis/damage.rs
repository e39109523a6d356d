//! Files that are damaged while their node is down: bits flipped, ends cut off. A checksum has to find it: the node serves
//! what is right, or refuses to start. Then an operator replaces it.
//!
//! The node is started again when the others lead without it. Damage to a journal's very last frame looks like a write
//! that a crash cut off, so the node may have forgotten what it acknowledged last, and its vote; the others have it.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use fastrand::Rng;

use super::operator;
use super::stage::{Stage, names};
use crate::cluster::Error;

/// How many bits are flipped at the most.
const MOST_BITS: usize = 64;

/// Files that hold nothing.
const EMPTY: [&str; 2] = ["LOCK", "RESERVE"];

/// Damages files of as many nodes as all groups can do without.
pub(super) async fn strike(stage: &mut Stage) -> Result<(), Error> {
    let ids = stage.pick_expendable().await;
    if !operator::wait_at_rest(stage).await {
        return Ok(());
    }
    let cuts = stage.rng.bool();
    let name = if cuts { "damage-truncate" } else { "damage-flip" };
    let open = stage.begin(name, names(&ids));
    let mut said = Vec::new();
    let mut damaged = 0;
    for id in &ids {
        // After a graceful end even the journal's last frame is known to be one.
        match stage.rng.bool() {
            true => drop(stage.cluster.node(*id).hold().await.kill().await?),
            false => drop(stage.cluster.node(*id).hold().await.end().await?),
        }
        let dir = stage.cluster.node(*id).data_dir().to_owned();
        let how = spoil(&dir, cuts, &mut stage.rng).map_err(Error::io(dir.display()))?;
        stage.spoiled.insert(*id);
        damaged += usize::from(how.is_some());
        said.push(format!(
            "n{id}: {}",
            how.unwrap_or_else(|| "nothing to damage".to_owned())
        ));
    }
    said.extend(operator::bring_back(stage, &ids).await?);
    stage.end(open, damaged > 0, said.join("; "));
    Ok(())
}

/// Damages one file in the directory, and says how; `None` when there is none.
fn spoil(dir: &Path, cuts: bool, rng: &mut Rng) -> io::Result<Option<String>> {
    let Some(path) = a_file(dir, rng)? else {
        return Ok(None);
    };
    let name = path.strip_prefix(dir).unwrap_or(&path).display().to_string();
    let mut file = File::options().read(true).write(true).open(&path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    // Journals and stores are made larger than what is in them.
    let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    if written == 0 {
        return Ok(None);
    }
    if cuts {
        let length = match rng.u32(..4) {
            0 => 0,
            1 => rng.usize(..written),
            _ => written - rng.usize(1..=written.min(64 << 10)),
        };
        file.set_len(length as u64)?;
        return Ok(Some(format!("{name} cut to {length} of {written} bytes")));
    }
    let count = if rng.bool() { 1 } else { rng.usize(2..=MOST_BITS) };
    for _ in 0..count {
        let at = rng.usize(..written);
        bytes[at] ^= 1 << rng.u8(..8);
        file.seek(SeekFrom::Start(at as u64))?;
        file.write_all(&bytes[at..=at])?;
    }
    Ok(Some(format!("{count} bits of {name} flipped, of {written} bytes")))
}

/// Some file with content: first one of its folders is drawn, so that many stores do not hide the few other files.
fn a_file(dir: &Path, rng: &mut Rng) -> io::Result<Option<PathBuf>> {
    let mut entries: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let is_empty = |name: &str| EMPTY.contains(&name) || name.ends_with(".spare");
        if !entry.file_name().to_str().is_none_or(is_empty) {
            entries.push(entry.path());
        }
    }
    entries.sort_unstable();
    rng.shuffle(&mut entries);
    for entry in entries {
        let found = match entry.is_dir() {
            true => a_file(&entry, rng)?,
            false => (fs::metadata(&entry)?.len() > 0).then_some(entry),
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_with_content_is_hit_now_and_then_and_changed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("groups/1")).unwrap();
        fs::create_dir(dir.path().join("journal")).unwrap();
        let files = ["groups/1/streams.redb", "journal/1.seg", "identity.json"];
        let mut hit = std::collections::BTreeSet::new();
        for seed in 0..60 {
            for file in files {
                fs::write(dir.path().join(file), [7; 100]).unwrap();
            }
            fs::write(dir.path().join("LOCK"), "").unwrap();
            fs::write(dir.path().join("journal/2.spare"), [7; 100]).unwrap();
            let mut rng = Rng::with_seed(seed);
            let cuts = rng.bool();
            let said = spoil(dir.path(), cuts, &mut rng).unwrap().unwrap();
            let changed = files
                .iter()
                .filter(|file| fs::read(dir.path().join(file)).unwrap() != [7; 100]);
            let changed: Vec<&str> = changed.copied().collect();
            // Two flips of one bit undo each other, which is rare.
            if changed.is_empty() {
                assert!(said.contains("flipped"), "{said}");
                continue;
            }
            assert_eq!(changed.len(), 1, "{said}");
            assert!(said.contains(changed[0]), "{said}");
            hit.insert(changed[0]);
        }
        assert_eq!(hit.len(), files.len(), "{hit:?}");
    }

    #[test]
    fn an_empty_directory_cannot_be_damaged() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(spoil(dir.path(), true, &mut Rng::with_seed(1)).unwrap(), None);
    }
}
