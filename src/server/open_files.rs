//! How many files and connections the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit as far as the system lets us: the usual default, made for programs that use `select`, is too small
/// for a server with a connection per reader. Returns what it is then, if there is one.
pub(crate) fn raise_limit() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return maximum;
    }
    let wanted = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(cause) = setrlimit(Resource::Nofile, wanted) {
        tracing::warn!(%cause, ?current, ?maximum, "the limit of open files could not be raised");
        return current;
    }
    maximum
}

/// How many connections clients may have, where `limit` is that of open files and `wanted` that of the configuration, 0
/// meaning as many as can be. The rest is for the storage, whose files must open at any time, and for other nodes.
pub(crate) fn max_connections(limit: Option<u64>, wanted: u64) -> usize {
    let kept = |limit: u64| (limit / 4).min(MOST_KEPT) + OTHERS;
    let most = limit.map_or(u64::MAX, |limit| limit.saturating_sub(kept(limit)).max(1));
    if wanted > most {
        tracing::warn!(
            wanted,
            most,
            "the limit of open files allows fewer connections than max_connections"
        );
    }
    let connections = if wanted == 0 { most } else { wanted.min(most) };
    usize::try_from(connections).unwrap_or(usize::MAX)
}

/// The most files that are kept from clients: those of 1,024 groups, with what snapshots and the journal need.
const MOST_KEPT: u64 = 4096;

/// Connections of operators, and those that are refused.
const OTHERS: u64 = 128;

#[cfg(test)]
mod tests {
    use super::max_connections;

    #[test]
    fn the_storage_keeps_its_files() {
        for (limit, wanted, connections) in [
            (Some(64), 0, 1),
            (Some(1024), 0, 640),
            (Some(1024), 100, 100),
            (Some(1024), 1000, 640),
            (Some(1_000_000), 0, 995_776),
            (None, 0, usize::MAX),
            (None, 5, 5),
        ] {
            assert_eq!(max_connections(limit, wanted), connections, "{limit:?} {wanted}");
        }
    }
}
