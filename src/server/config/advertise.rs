//! Where a node tells others to reach it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use thiserror::Error;

use crate::config::{Config, Mode};

/// The addresses that are listened on, with the ports that the system chose where 0 was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound {
    pub(crate) peer: SocketAddr,
    pub(crate) client: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// As `host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Advertised {
    pub(crate) peer: String,
    pub(crate) client: String,
    pub(crate) admin: String,
}

/// Nobody can connect to the address that would be told.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "{key} is needed: this node listens on {bound}, which means every address of this machine and is none that others \
     could connect to. Set {key} to the host and port where they reach this node, such as node-1.example:{}", bound.port()
)]
pub(crate) struct Unreachable {
    key: &'static str,
    bound: SocketAddr,
}

impl Config {
    /// What others are told: what is configured; else the address that is listened on; else, where that is a wildcard,
    /// the host of `peer_advertise`. `weir dev`, which is for one machine, falls back to loopback.
    ///
    /// # Errors
    /// When all of that gives nothing.
    pub(crate) fn advertised(&self, bound: &Bound, mode: Mode) -> Result<Advertised, Unreachable> {
        let peer_host = self.peer_advertise.as_deref().and_then(|peer| peer.rsplit_once(':'));
        let resolve = |key, configured: &Option<String>, bound: SocketAddr| {
            if let Some(configured) = configured {
                return Ok(configured.to_ascii_lowercase());
            }
            match (bound.ip(), peer_host, mode) {
                (ip, _, _) if !ip.is_unspecified() => Ok(bound.to_string()),
                (_, Some((host, _)), _) => Ok(format!("{}:{}", host.to_ascii_lowercase(), bound.port())),
                (ip, None, Mode::Dev) => Ok(SocketAddr::new(loopback(ip), bound.port()).to_string()),
                (_, None, Mode::Serve) => Err(Unreachable { key, bound }),
            }
        };
        Ok(Advertised {
            peer: resolve("peer_advertise", &self.peer_advertise, bound.peer)?,
            client: resolve("client_advertise", &self.client_advertise, bound.client)?,
            admin: resolve("admin_advertise", &self.admin_advertise, bound.admin)?,
        })
    }

    /// Whom a node at this address asks to let it in, at its first start. Empty for one that may found a cluster.
    pub(crate) fn joins(&self, peer_address: &str) -> &[String] {
        let is_listed = self.nodes.iter().any(|node| node == peer_address);
        // A set of nodes that grows keeps its list, as Kubernetes gives all its pods the same one.
        if self.join.is_empty() && !is_listed {
            &self.nodes
        } else {
            &self.join
        }
    }
}

fn loopback(wildcard: IpAddr) -> IpAddr {
    match wildcard {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::layers::{apply_flags, defaults};

    fn config(flags: &[(&'static str, &str)]) -> Config {
        let mut settings = defaults();
        let flags: Vec<_> = flags.iter().map(|(key, text)| (*key, (*text).to_owned())).collect();
        apply_flags(&mut settings, &flags).unwrap();
        Config::new(&settings).unwrap()
    }

    fn bound(ip: &str) -> Bound {
        let at = |port: u16| SocketAddr::new(ip.parse().unwrap(), port);
        Bound {
            peer: at(4436),
            client: at(4437),
            admin: at(4439),
        }
    }

    fn told(flags: &[(&'static str, &str)], ip: &str, mode: Mode) -> Result<[String; 3], String> {
        let advertised = config(flags).advertised(&bound(ip), mode);
        let told = advertised.map(|told| [told.peer, told.client, told.admin]);
        told.map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_told_can_be_connected_to() {
        let bound = ["10.0.0.1:4436", "10.0.0.1:4437", "10.0.0.1:4439"].map(str::to_owned);
        assert_eq!(told(&[], "10.0.0.1", Mode::Serve).unwrap(), bound);
        let configured = [
            ("peer_advertise", "Node-1.example:1"),
            ("admin_advertise", "10.0.0.9:3"),
        ];
        let expected = ["node-1.example:1", "node-1.example:4437", "10.0.0.9:3"].map(str::to_owned);
        assert_eq!(told(&configured, "0.0.0.0", Mode::Serve).unwrap(), expected);
        let loopback = ["[::1]:4436", "[::1]:4437", "[::1]:4439"].map(str::to_owned);
        assert_eq!(told(&[], "::", Mode::Dev).unwrap(), loopback);
        let refused = told(&[], "0.0.0.0", Mode::Serve).expect_err("told a wildcard");
        assert!(
            refused.starts_with("peer_advertise is needed: this node listens on 0.0.0.0:4436,"),
            "{refused}"
        );
        let refused = told(&[("client_advertise", "a:1")], "::", Mode::Serve).expect_err("told a wildcard");
        assert!(refused.starts_with("peer_advertise is needed"), "{refused}");
    }

    #[test]
    fn the_peer_port_is_the_one_before() {
        let peer = |flags: &[(&'static str, &str)]| config(flags).peer_listen().to_string();
        assert_eq!(peer(&[]), "127.0.0.1:4436");
        assert_eq!(peer(&[("listen", "[::1]:0")]), "[::1]:0");
        assert_eq!(peer(&[("listen", "0.0.0.0:9000")]), "0.0.0.0:8999");
        assert_eq!(peer(&[("peer_listen", "10.0.0.1:1")]), "10.0.0.1:1");
    }

    #[test]
    fn who_is_not_listed_joins_those_that_are() {
        let listed = config(&[("nodes", "A:1, b:2")]);
        assert!(listed.joins("a:1").is_empty());
        assert_eq!(listed.joins("c:3"), ["a:1", "b:2"]);
        assert!(config(&[]).joins("a:1").is_empty());
        assert_eq!(config(&[("nodes", "a:1"), ("join", "z:9")]).joins("c:3"), ["z:9"]);
        assert_eq!(config(&[("nodes", "a:1"), ("join", "z:9")]).joins("a:1"), ["z:9"]);
    }
}
