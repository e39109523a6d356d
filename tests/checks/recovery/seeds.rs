//! Histories to begin with, in the encoding that `script` and `damage` read.

/// Steps of a history. A batch is: shape (129 is one durable command, 0 one that is not), kind, stream, detail.
const CHECKPOINT: &[u8] = &[0];
const MAINTAIN: &[u8] = &[1];
const REOPEN: &[u8] = &[2];
const BURST: &[u8] = &[3, 0, 0, 255];
const CREATE: &[u8] = &[4, 129, 0, 0, 64];
const CREATE_JSON: &[u8] = &[4, 129, 0, 1, 68];
const APPEND: &[u8] = &[4, 129, 100, 0, 4];
const APPEND_UNSYNCED: &[u8] = &[4, 0, 100, 0, 4];
const APPEND_LARGE: &[u8] = &[4, 129, 100, 0, 7, 0];
const PRODUCE: &[u8] = &[4, 129, 4, 0, 1];
const FORK: &[u8] = &[4, 129, 2, 2, 0];
const DELETE: &[u8] = &[4, 129, 9, 0, 0];

/// Ends of a history: what happens to the files. Of them, in order: the lock, the redo log, the logs from 2 on.
const KILL: &[u8] = &[0];
const REMOVE_FIRST_LOG: &[u8] = &[5, 0, 0, 0, 2, 0, 0, 0, 3];

fn history(steps: &[&[u8]], end: &[u8]) -> Vec<u8> {
    let count = u8::try_from(steps.len()).unwrap_or(u8::MAX);
    [&[0, 0, count], &*steps.concat(), end].concat()
}

fn cut_first_log(border: u8) -> [u8; 12] {
    [5, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, border]
}

fn forge_first_log(at: u16) -> Vec<u8> {
    let [high, low] = at.to_be_bytes();
    vec![7, 0, 0, 1, 0, high, low, 3, 255, 255, 255, 255]
}

fn lose_power(choice: u8) -> [u8; 9] {
    [1, 0, 0, choice, choice, 0, 0, 0, choice]
}

/// Histories that reach each part of recovery, and a mixture of everything.
pub(crate) fn file_recovery() -> Vec<Vec<u8>> {
    let mut seeds = vec![
        history(&[CREATE, BURST, APPEND_UNSYNCED, MAINTAIN, APPEND], KILL),
        history(&[CREATE, PRODUCE, BURST, MAINTAIN, REOPEN, CHECKPOINT], KILL),
        history(&[CREATE, BURST, FORK, DELETE, MAINTAIN, REOPEN], KILL),
        history(&[CREATE, CREATE_JSON, APPEND_LARGE, PRODUCE, FORK, APPEND_LARGE], KILL),
        history(&[CREATE, APPEND, FORK, REOPEN], REMOVE_FIRST_LOG),
        history(&[CREATE, APPEND, FORK, DELETE, CREATE, REOPEN, MAINTAIN], KILL),
    ];
    for number in 0..8 {
        let steps = [CREATE, APPEND, PRODUCE, APPEND, FORK, REOPEN];
        seeds.push(history(&steps, &cut_first_log(number)));
        let steps = [
            CREATE,
            APPEND,
            REOPEN,
            APPEND_UNSYNCED,
            APPEND_UNSYNCED,
            APPEND_UNSYNCED,
        ];
        seeds.push(history(&steps, &lose_power(number)));
    }
    for at in (0..700).step_by(5) {
        seeds.push(history(&[CREATE, APPEND, PRODUCE, REOPEN], &forge_first_log(at)));
    }
    seeds.extend((0..64).map(mixture));
    seeds
}

/// Counted up, not drawn: the same every time.
fn mixture(number: u8) -> Vec<u8> {
    let mut state = u64::from(number) + 1;
    let mut next = || {
        // Knuth's multiplicative generator: any mixture will do here.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..16 + usize::from(number) * 3).map(|_| next()).collect()
}
