//! Each planted bug is where it should be, and nowhere else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use weir_mutant::MUTANTS;

use crate::absent::workspace;

/// In which file, and how many times.
const PLACES: [(&str, &str, usize); 11] = [
    ("AnswerBeforeFsync", "cluster/journal/writer/mod.rs", 2),
    ("AnswerBeforeQuorum", "cluster/raft/network.rs", 1),
    ("ReadWithoutBarrier", "cluster/group/read.rs", 1),
    ("ForgetProducers", "src/storage/redb/export.rs", 1),
    ("ReuseReplicaId", "cluster/meta/apply/nodes.rs", 1),
    ("DropLastOnTruncate", "cluster/raft/log_store.rs", 2),
    ("SkipRowInSnapshot", "src/storage/redb/export.rs", 1),
    ("ExpireByLocalClock", "src/storage/machine/expire.rs", 1),
    ("SkipAfterReconnect", "src/http/live/sse.rs", 1),
    ("ForkBeforeRetain", "cluster/fork/create.rs", 1),
    // What `weir` says of itself names none of them.
    ("", "src/server/main.rs", 0),
];

/// All files below a folder, but those that were built.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return found;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() && entry.file_name() != "target" && entry.file_name() != "node_modules" {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_one_is_in_its_places_and_nowhere_else() {
    let mut found: BTreeMap<(String, String), usize> = BTreeMap::new();
    for folder in ["src", "cluster"] {
        for path in files(&workspace().join(folder)) {
            let relative = path
                .strip_prefix(workspace())
                .expect("it was found there")
                .display()
                .to_string();
            if relative.starts_with("src/mutant") || !relative.ends_with(".rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a source is text");
            for place in text.split("Mutant::").skip(1) {
                let name: String = place.chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
                *found.entry((name, relative.clone())).or_default() += 1;
            }
        }
    }
    let due = PLACES.iter().filter(|(.., times)| *times > 0);
    let due: BTreeMap<(String, String), usize> = due
        .map(|(name, file, times)| ((name.to_string(), file.to_string()), *times))
        .collect();
    assert_eq!(found, due);
    for (mutant, name) in MUTANTS {
        let variant = format!("{mutant:?}");
        assert!(due.keys().any(|(known, _)| *known == variant), "{name} is nowhere");
    }
}

#[test]
fn names_are_distinct() {
    for (number, (mutant, name)) in MUTANTS.iter().enumerate() {
        assert_eq!(mutant.name(), *name);
        assert_eq!(weir_mutant::Mutant::find(name), Some(*mutant));
        assert!(MUTANTS[..number].iter().all(|(_, other)| other != name));
    }
    assert_eq!(weir_mutant::Mutant::find("none"), None);
}
