//! Clusters of several nodes in one process, over loopback.

#[cfg(test)]
mod forks;
#[cfg(test)]
mod forming;
#[cfg(test)]
mod membership;
#[cfg(test)]
mod serving;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod support;
