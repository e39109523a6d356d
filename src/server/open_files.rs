//! How many files and connections the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit as far as the system lets us: the usual default, made for programs that use `select`, is too small
/// for a server with a connection per reader.
pub(crate) fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    let wanted = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(cause) = setrlimit(Resource::Nofile, wanted) {
        tracing::warn!(%cause, ?current, ?maximum, "the limit of open files could not be raised");
    }
}
