//! End-to-end tests: everything here starts the real `weir` binary and talks to it over a socket.
//!
//! | directory | what it holds |
//! |---|---|
//! | `harness` | starting, killing and restarting servers; nginx, Node and Python; sockets |
//! | `conformance` | the official suite: each storage backend, each node of a cluster, and a proxy over the nodes |
//! | `clients` | the official clients, unmodified, across restarts of the server |
//! | `bad_requests` | malformed requests: each one's exact answer, and that none leaves a trace |
//! | `deploy` | the Kubernetes manifests and the image's recipe, checked against each other and against the program |
//! | `cluster` | three nodes that are killed, paused, damaged and filled up under load |
//! | `crash` | SIGKILL at random moments under load: nothing acknowledged is lost, doubled or reordered |
//!
//! Nothing leaves this machine's loopback but the package managers, which install pinned versions.

#[cfg(test)]
mod bad_requests;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod deploy;
#[cfg(test)]
mod harness;
