//! What can happen to files.

use std::fs;
use std::path::Path;

use super::files;
use super::input::Input;
use super::layout;
use super::script::Synced;

/// What must hold after the damage that was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Promise {
    /// Nothing is missing.
    Everything,
    /// A number of whole batches is there, and every durable one.
    WholeBatches,
    /// Every stream is in a state in which it once was, or the store says that it is damaged.
    EachStream,
    /// Nothing is known of what is there; it can be looked at, and stays the same.
    Calm,
}

/// Does what `input` says to the files of a store that is not open.
pub(super) fn damage(dir: &Path, synced: &Synced, input: &mut Input<'_>) -> Promise {
    match input.byte() % 8 {
        // What a killed process leaves: all that was written, synced or not.
        0 => Promise::Everything,
        1..=4 => {
            lose_power(dir, synced, input);
            Promise::WholeBatches
        }
        5 | 6 => {
            for _ in 0..=input.byte() % 3 {
                break_one(dir, input);
            }
            Promise::EachStream
        }
        _ => {
            for path in files(dir) {
                forge(dir, &path, input);
            }
            Promise::Calm
        }
    }
}

/// Whatever was not synced may be gone or garbage.
fn lose_power(dir: &Path, synced: &Synced, input: &mut Input<'_>) {
    for path in files(dir) {
        let is_redo = path == Path::new("redo.log");
        let safe = if is_redo {
            Some(&synced.redo_bytes)
        } else {
            synced.logs.get(&path)
        };
        if is_redo || path.extension().is_some_and(|extension| extension == "log") {
            tear(&dir.join(path), safe.copied().unwrap_or_default(), input);
        }
    }
}

/// Anything at all happens to the bytes of one file.
fn break_one(dir: &Path, input: &mut Input<'_>) {
    let files = files(dir);
    let mut pick = || files.get(usize::try_from(input.below(files.len() as u64)).unwrap_or_default());
    let (Some(path), Some(other)) = (pick(), pick()) else {
        return;
    };
    let path = dir.join(path);
    match input.byte() % 8 {
        0 => write(&path, &read(&dir.join(other))),
        1 => write(&path, input.bytes(512)),
        2 => write(&path, &[&read(&path), input.bytes(64)].concat()),
        // Only a stream's log: no redo log at all is what a new store has.
        3 if path.starts_with(dir.join("streams")) => fs::remove_file(&path).expect("a file is removed"),
        4 => {
            let bytes = read(&path);
            let borders = layout::borders(&path, &bytes);
            let end = borders.get(usize::try_from(input.below(borders.len() as u64)).unwrap_or_default());
            write(&path, end.and_then(|end| bytes.get(..*end)).unwrap_or(&bytes));
        }
        _ => tear(&path, 0, input),
    }
}

/// Changes bytes as whoever knows the layout could: every checksum is right. No checksum protects from that, so the
/// code behind them must take anything.
fn forge(dir: &Path, path: &Path, input: &mut Input<'_>) {
    let path = dir.join(path);
    let mut bytes = read(&path);
    for _ in 0..input.byte() % 4 {
        let at = usize::try_from(input.below(bytes.len() as u64)).unwrap_or_default();
        let count = 1 + usize::from(input.byte() % 9);
        let new = input.bytes(count);
        bytes.iter_mut().skip(at).zip(new).for_each(|(byte, new)| *byte = *new);
    }
    layout::seal(&path, &mut bytes);
    write(&path, &bytes);
}

/// Changes something behind the first `safe` bytes.
fn tear(path: &Path, safe: u64, input: &mut Input<'_>) {
    let mut bytes = read(path);
    let Some(open_to_damage) = (bytes.len() as u64).checked_sub(safe).filter(|length| *length > 0) else {
        return;
    };
    let at = usize::try_from(safe + input.below(open_to_damage)).expect("a position in memory");
    match input.byte() % 6 {
        0 => return,
        1 => bytes.truncate(at),
        2 => bytes[at..].fill(0),
        3 => bytes[at] ^= 1 << (input.byte() % 8),
        4 => {
            let end = (at + 4096).min(bytes.len());
            bytes[at..end].fill(0);
        }
        _ => bytes[at..]
            .iter_mut()
            .zip(input.bytes(32))
            .for_each(|(byte, new)| *byte = *new),
    }
    write(path, &bytes);
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).expect("a file of the store is read")
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("a file of the store is written");
}
