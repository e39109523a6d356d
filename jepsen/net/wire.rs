//! Network namespaces for the nodes, each with one device, and the clients' device in the namespace of the harness.

use std::fmt::Write as _;
use std::fs::File;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use super::rules::{CLIENTS, End, Rules};
use super::switch::{MTU, Switch, hardware_address, tap};
use crate::cluster::command::run;
use crate::cluster::error::Error;

/// The address of an end. The namespaces see no network but this one.
pub(crate) fn address(end: End) -> Ipv4Addr {
    match end {
        CLIENTS => Ipv4Addr::new(10, 77, 0, 250),
        node => Ipv4Addr::new(10, 77, 0, u8::try_from(node).unwrap_or(u8::MAX)),
    }
}

/// The file that keeps a node's network namespace.
pub(crate) fn namespace(scratch: &Path, node: End) -> PathBuf {
    scratch.join(format!("net-{node}"))
}

/// Makes namespaces for nodes 1 to `nodes`, and joins them and this one by a switch.
///
/// # Errors
/// When the kernel has no namespaces or TAP devices for us.
pub(crate) async fn join(scratch: &Path, nodes: usize, rules: &Rules) -> Result<Switch, Error> {
    let ends = nodes + 1;
    let mut devices = Vec::new();
    for end in 0..ends {
        let name = format!("weir{end}");
        devices.push(tap(&name).map_err(Error::io("a TAP device"))?);
        let script = script(&name, end, ends);
        if end == CLIENTS {
            run("sh", &["-ec", &script]).await?;
            continue;
        }
        let file = namespace(scratch, end);
        File::create(&file).map_err(Error::io(file.display()))?;
        let file = file.display().to_string();
        run("unshare", &[&format!("--net={file}"), "true"]).await?;
        run("ip", &["link", "set", &name, "netns", &file]).await?;
        run("nsenter", &[&format!("--net={file}"), "--", "sh", "-ec", &script]).await?;
    }
    Switch::start(devices, rules.clone()).map_err(Error::io("the switch"))
}

/// Sets up a device. All neighbours are known, so that a cut link is never found out by asking for addresses.
fn script(device: &str, end: End, ends: usize) -> String {
    let mut script = format!(
        "ip link set lo up
        ip link set {device} address {} mtu {MTU}
        ip addr add {}/24 dev {device}
        ip link set {device} up\n",
        hardware(end),
        address(end)
    );
    for other in (0..ends).filter(|other| *other != end) {
        // A String takes whatever is written to it.
        let _ = writeln!(
            script,
            "ip neigh replace {} lladdr {} dev {device} nud permanent",
            address(other),
            hardware(other)
        );
    }
    script
}

fn hardware(end: End) -> String {
    hardware_address(end).map(|byte| format!("{byte:02x}")).join(":")
}
