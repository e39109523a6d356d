//! Ordinary builds have no planted bug.

use std::path::{Path, PathBuf};

#[cfg(not(feature = "planted"))]
use weir_mutant::MUTANTS;

pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The lines of a section of a `Cargo.toml`.
fn section(manifest: &str, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(workspace().join(manifest)).expect("the manifest is there");
    let lines = text.lines().skip_while(|line| line.trim() != name).skip(1);
    lines
        .take_while(|line| !line.starts_with('['))
        .map(str::to_owned)
        .collect()
}

#[cfg(not(feature = "planted"))]
#[test]
fn none_is_active_whatever_the_variable_says() {
    // Constants, so that what they guard is left out of the program.
    const IS: bool = weir_mutant::is(weir_mutant::Mutant::AnswerBeforeFsync);
    const TAKE: bool = weir_mutant::take(weir_mutant::Mutant::DropLastOnTruncate, 1);
    const { assert!(!IS && !TAKE && !weir_mutant::IS_PLANTED) }
    for (mutant, name) in MUTANTS {
        assert!(!weir_mutant::is(mutant), "{name}");
        assert_eq!(weir_mutant::instead(mutant, 1, || 2), 1, "{name}");
    }
}

#[test]
fn no_default_feature_plants_them() {
    let features = section("src/server/Cargo.toml", "[features]");
    let mutants = "mutants = [\"weir-mutant/planted\", \"weir-cluster/mutants\"]";
    assert!(features.iter().any(|line| line == mutants), "{features:?}");
    for manifest in ["src/server/Cargo.toml", "cluster/Cargo.toml", "src/mutant/Cargo.toml"] {
        let features = section(manifest, "[features]");
        assert!(!features.is_empty(), "{manifest}");
        assert!(
            !features.iter().any(|line| line.trim_start().starts_with("default")),
            "{manifest}: {features:?}"
        );
    }
}

#[test]
fn nobody_but_the_feature_turns_them_on() {
    for folder in ["src", "cluster", "jepsen", "proto", "tests", "deploy", ".ci"] {
        for path in super::places::files(&workspace().join(folder)) {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let is_manifest = path.ends_with("Cargo.toml");
            let turns_on = is_manifest
                && text
                    .lines()
                    .any(|line| line.contains("weir-mutant") && line.contains("features"));
            assert!(!turns_on, "{}", path.display());
            let is_release = path.starts_with(workspace().join("deploy")) || path.starts_with(workspace().join(".ci"));
            assert!(
                !(is_release && (text.contains("features mutants") || text.contains("all-features"))),
                "{}",
                path.display()
            );
        }
    }
}
