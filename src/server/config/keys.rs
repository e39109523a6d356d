//! Every key: its name, its default and what it may be. Flags, environment variables, refusals and `weir config` all
//! come from this one table, and a test compares README.md with it.

use std::time::Duration;

use weir_cluster::meta::limits::{MAX_GROUPS, MAX_REPLICATION_FACTOR};

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

/// Variables with the prefix that are no keys: the configuration file, and what `weir stream` and `weir cluster` read.
pub(crate) const OTHER_VARIABLES: &[&str] = &[
    "WEIR_CONFIG",
    "WEIR_URL",
    "WEIR_ADMIN_URL",
    #[cfg(feature = "mutants")]
    weir_mutant::VARIABLE,
];

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
        help: "Where health, metrics and the admin API are served",
    },
    Key {
        name: "peer_listen",
        kind: Kind::OptionalAddress,
        default: "",
        help: "Where other nodes connect; by default the port before that of listen, on the same IP address",
    },
    Key {
        name: "peer_advertise",
        kind: Kind::HostPort,
        default: "",
        help: "Where other nodes reach this one; by default the address that peer_listen comes to",
    },
    Key {
        name: "client_advertise",
        kind: Kind::HostPort,
        default: "",
        help: "Where clients reach this node; by default the address that listen comes to",
    },
    Key {
        name: "admin_advertise",
        kind: Kind::HostPort,
        default: "",
        help: "Where operators reach this node; by default the address that admin_listen comes to",
    },
    Key {
        name: "nodes",
        kind: Kind::HostPorts,
        default: "",
        help: "The peer addresses of the nodes that form a new cluster, the same list on each; a node that is not in it joins them",
    },
    Key {
        name: "join",
        kind: Kind::HostPorts,
        default: "",
        help: "Peer addresses of a cluster to join; a node that has this never forms a new one",
    },
    Key {
        name: "zone",
        kind: Kind::Zone,
        default: "",
        help: "What fails together with this node, such as a rack or a data centre; replicas of a group are kept apart",
    },
    Key {
        name: "groups",
        kind: Kind::Integer {
            min: 0,
            max: MAX_GROUPS,
        },
        default: "0",
        help: "How many Raft groups a new cluster has, for ever; 0 means 16, or 2 with weir dev",
    },
    Key {
        name: "replication_factor",
        kind: Kind::Integer {
            min: 1,
            max: MAX_REPLICATION_FACTOR as u64,
        },
        default: "3",
        help: "How many replicas each group of a new cluster should have, as soon as there are that many nodes",
    },
    Key {
        name: "heartbeat_interval",
        kind: Kind::Duration {
            min: Duration::from_millis(10),
            max: Duration::from_secs(60),
        },
        default: "400ms",
        help: "How often the leader of a group tells that it is there",
    },
    Key {
        name: "election_timeout",
        kind: Kind::Duration {
            min: Duration::from_millis(30),
            max: Duration::from_secs(600),
        },
        default: "1500ms",
        help: "After how long without a leader another one is elected; at least 3 times heartbeat_interval",
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
        kind: Kind::Integer {
            min: MIB,
            max: 1024 * GIB,
        },
        default: "268435456",
        help: "How much memory the storage may use as a cache, in bytes",
    },
    Key {
        name: "keep_log_bytes",
        kind: Kind::Integer {
            min: 4096,
            max: 1024 * GIB,
        },
        // A minute or so of a busy group.
        default: "67108864",
        help: "How much of each group's log stays for followers that lag, in bytes; one that lacks more gets a snapshot",
    },
    Key {
        name: "max_connections",
        kind: Kind::Integer { min: 0, max: 1 << 32 },
        default: "0",
        help: "How many connections clients may have at once, beyond which they are answered 503; 0 means as many as the limit of open files leaves",
    },
    Key {
        name: "max_body_bytes",
        kind: Kind::Integer { min: 1, max: GIB },
        default: "16777216",
        help: "The largest request body, in bytes",
    },
    Key {
        name: "max_inflight_body_bytes",
        kind: Kind::Integer {
            min: 1,
            max: 1024 * GIB,
        },
        default: "536870912",
        help: "How much all request bodies together may take in memory, in bytes; at least max_body_bytes",
    },
    Key {
        name: "max_inflight_answer_bytes",
        kind: Kind::Integer {
            min: 1,
            max: 1024 * GIB,
        },
        default: "536870912",
        help: "How much all answers together may take in memory until clients have taken them, in bytes; at least max_read_bytes. Answers become smaller as it fills up",
    },
    Key {
        name: "max_read_bytes",
        // An answer of another node has to fit into one message between nodes.
        kind: Kind::Integer { min: 1, max: 64 * MIB },
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
        // What openraft tells at info is its own inner life, several lines for every election.
        default: "info,openraft=error",
        help: "What is logged: a level, or directives such as 'info,weir_http=debug'",
    },
    Key {
        name: "log_format",
        kind: Kind::OneOf(&["text", "json"]),
        default: "text",
        help: "How log lines are written",
    },
];
