//! Every key: its name, its default and what it may be. Flags, environment variables, refusals and `weir config` all
//! come from this one table, and a test compares README.md with it.

use std::time::Duration;

use crate::config::kind::Kind;

/// One key of the configuration.
#[derive(Debug)]
pub(crate) struct Key {
    /// As in a file.
    pub(crate) name: &'static str,
    /// What it may be.
    pub(crate) kind: Kind,
    /// Its value when nobody sets it, as text.
    pub(crate) default: &'static str,
    /// What it does, for `--help`.
    pub(crate) help: &'static str,
}

impl Key {
    /// The environment variable that sets it.
    pub(crate) fn env_name(&self) -> String {
        format!("{ENV_PREFIX}{}", self.name.to_ascii_uppercase())
    }

    /// The flag that sets it, without the dashes in front.
    pub(crate) fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// The key with this name.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name)
    }
}

/// What the environment variables of all keys begin with.
pub(crate) const ENV_PREFIX: &str = "WEIR_";

/// Variables with the prefix that are no keys: the configuration file, and what `weir stream` reads.
pub(crate) const OTHER_VARIABLES: [&str; 2] = ["WEIR_CONFIG", "WEIR_URL"];

const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;

/// A time that may not be zero: nothing would ever be waited for.
const SOME_TIME: Kind = Kind::Duration {
    min: Duration::from_millis(1),
    max: Duration::from_secs(3600),
};

/// All keys, in the order in which they are shown.
pub(crate) const KEYS: &[Key] = &[
    Key {
        name: "listen",
        kind: Kind::Address,
        default: "127.0.0.1:4437",
        help: "Where clients connect",
    },
    Key {
        name: "admin_listen",
        kind: Kind::Address,
        default: "127.0.0.1:4439",
        help: "Where health and metrics are served",
    },
    Key {
        name: "data_dir",
        kind: Kind::Directory,
        default: "./weir-data",
        help: "Where streams are kept; relative to the working directory",
    },
    Key {
        name: "storage",
        kind: Kind::OneOf(&["memory", "file", "redb"]),
        default: "redb",
        help: "How streams are kept; memory forgets them when the process ends",
    },
    Key {
        name: "cache_bytes",
        kind: Kind::Bytes {
            min: MIB,
            max: 1024 * GIB,
        },
        default: "268435456",
        help: "How much memory the storage may use as a cache, in bytes",
    },
    Key {
        name: "max_body_bytes",
        kind: Kind::Bytes { min: 1, max: GIB },
        default: "16777216",
        help: "The largest request body, in bytes",
    },
    Key {
        name: "max_inflight_body_bytes",
        kind: Kind::Bytes {
            min: 1,
            max: 1024 * GIB,
        },
        default: "536870912",
        help: "How much all request bodies together may take in memory, in bytes; at least max_body_bytes",
    },
    Key {
        name: "max_read_bytes",
        kind: Kind::Bytes { min: 1, max: GIB },
        default: "4194304",
        help: "The most stored bytes in one catch-up answer",
    },
    Key {
        name: "long_poll_timeout",
        kind: SOME_TIME,
        default: "20s",
        help: "How long a long-poll waits for new messages",
    },
    Key {
        name: "sse_max_duration",
        kind: SOME_TIME,
        default: "60s",
        help: "How long an SSE answer lasts at most",
    },
    Key {
        name: "sse_keep_alive",
        kind: SOME_TIME,
        default: "15s",
        help: "How long an SSE answer may be silent",
    },
    Key {
        name: "request_timeout",
        kind: SOME_TIME,
        default: "30s",
        help: "How long a request's body may take to arrive",
    },
    Key {
        name: "header_timeout",
        kind: SOME_TIME,
        // Above the 60 s after which proxies usually drop an idle connection: whoever drops it first must not be us,
        // or the proxy sends a request into a connection that is just being closed.
        default: "75s",
        help: "How long a request's head may take to arrive, and a connection be idle",
    },
    Key {
        name: "drain_timeout",
        kind: Kind::Duration {
            min: Duration::ZERO,
            max: Duration::from_secs(3600),
        },
        default: "10s",
        help: "How long requests in flight may take to finish on shutdown",
    },
    Key {
        name: "cors_allow_origin",
        kind: Kind::Origin,
        default: "*",
        help: "The value of Access-Control-Allow-Origin",
    },
    Key {
        name: "log_filter",
        kind: Kind::LogFilter,
        default: "info",
        help: "What is logged: a level, or directives such as 'info,weir_http=debug'",
    },
    Key {
        name: "log_format",
        kind: Kind::OneOf(&["text", "json"]),
        default: "text",
        help: "How log lines are written",
    },
];
