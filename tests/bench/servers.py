"""The servers that are measured, each on fresh data directories and free ports."""

import json
import shlex
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from processes import Failure, Process, answers, free_base_port, is_there, kill_pid, wait_until


class Server:
    """What all have: `urls` of their nodes, the dialect that `weir bench` calls `target`, and processes."""

    target = None

    def __init__(self):
        self.urls = []
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.end()

    def spawn(self, command, log):
        """Starts a process of this server."""
        process = Process(command, log)
        self.processes.append(process)
        return process

    def wait_for_port(self, process, port):
        """Waits until the server takes connections."""

        def ready():
            process.must_live()
            return answers(port)

        wait_until(ready, f"{process.command[0]} to listen on {port}")


class WeirDev(Server):
    """`weir dev`: one node with its defaults."""

    target = "weir"

    def __init__(self, weir, home, args=()):
        super().__init__()
        self.port = free_base_port([0, 2, -1])
        self.urls = [f"http://127.0.0.1:{self.port}"]
        self.weir, self.home, self.args = weir, home, args
        self.process = None

    def start(self, wait=True):
        """Starts it, or starts it again on the same data."""
        command = [self.weir, "dev", "--data-dir", self.home / "data", "--listen", f"127.0.0.1:{self.port}"]
        command += ["--admin-listen", f"127.0.0.1:{self.port + 2}", "--peer-listen", f"127.0.0.1:{self.port - 1}"]
        self.process = self.spawn([*command, *self.args], self.home / "log")
        if wait:
            self.wait_for_port(self.process, self.port)
            wait_until(lambda: is_ready(self.port + 2), "the node to be ready")
        return self


def is_ready(admin_port):
    """Whether the node serves requests."""
    try:
        return fetch(f"http://127.0.0.1:{admin_port}/readyz", timeout_s=5) is not None
    except (urllib.error.URLError, OSError):
        return False


def fetch(url, timeout_s=10):
    """A page."""
    with urllib.request.urlopen(url, timeout=timeout_s) as answer:
        return answer.read()


class WeirCluster(Server):
    """`weir dev --nodes 3`."""

    target = "weir"
    COUNT = 3

    def __init__(self, weir, home, args=()):
        super().__init__()
        self.weir, self.home, self.args = weir, home, args
        starts = range(0, self.COUNT * 10, 10)
        self.base = free_base_port([start + offset for start in starts for offset in (-1, 0, 2)])
        self.urls = [f"http://127.0.0.1:{self.base + start}" for start in starts]
        self.again = []

    def start(self):
        """Starts all nodes and waits until every group has its replicas."""
        command = [self.weir, "dev", "--nodes", self.COUNT, "--base-port", self.base, "--data-dir", self.home / "data"]
        process = self.spawn([*command, *self.args], self.home / "log")
        for node in range(1, self.COUNT + 1):
            self.wait_for_port(process, self.client_port(node))
        self.settle()
        return self

    def __exit__(self, *arguments):
        pids = [self.pid(node) for node in range(1, self.COUNT + 1)]
        super().__exit__(*arguments)
        # They end with whoever started them; this is for the case that one does not.
        for pid in pids:
            if pid and is_there(pid):
                kill_pid(pid)

    def client_port(self, node):
        return self.base + (node - 1) * 10

    def admin_url(self, node):
        return f"http://127.0.0.1:{self.client_port(node) + 2}"

    def pid(self, node):
        """The process that has the node's data directory."""
        lock = self.home / "data" / f"node-{node}" / "LOCK"
        return int(lock.read_text()) if lock.exists() and lock.read_text().strip() else None

    def cluster(self, *args, node=1):
        """`weir cluster`, as JSON."""
        command = [self.weir, "cluster", "--admin-url", self.admin_url(node), "--json", *args]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise Failure(f"weir cluster {args}: {done.stderr}")
        return json.loads(done.stdout)

    def settle(self):
        """Waits until every group has a leader and all its replicas."""
        self.cluster("status", "--wait")

    def groups(self, node=1):
        """Each group's leading node."""
        return {group["id"]: group["leader_node"] for group in self.cluster("groups", node=node)["groups"]}

    def node_ids(self):
        """The cluster's number of the node with each place in `urls`, counted from 1."""
        nodes = self.cluster("nodes")["nodes"]
        place = {f"127.0.0.1:{self.client_port(node)}": node for node in range(1, self.COUNT + 1)}
        return {place[node["client_address"]]: node["id"] for node in nodes if node["client_address"] in place}

    def only_leader(self):
        """Where in `urls`, counted from 1, the node is that leads the only group."""
        places = {node: place for place, node in self.node_ids().items()}
        (leader,) = self.groups().values()
        if leader not in places:
            raise Failure("the group has no leader")
        return places[leader]

    def start_again(self, node):
        """Starts a node that was killed, with the command that `weir dev` prints for that."""
        marker = f"weir: node {node} ended"

        def command():
            lines = (self.home / "log").read_text(errors="replace").splitlines()
            places = [place for place, line in enumerate(lines) if line.startswith(marker)]
            after = lines[places[-1] + 1 :] if places else []
            return next((line for line in after if line.strip().startswith("weir serve ")), None)

        wait_until(lambda: command() is not None, f"node {node}'s command")
        words = shlex.split(command())
        process = self.spawn([self.weir, *words[1:]], self.home / f"log-{node}")
        self.wait_for_port(process, self.client_port(node))
        return process


class DurableStreams(Server):
    """Crate `durable-streams` with its defaults: `--durability wal`."""

    target = "durable-streams"

    def __init__(self, program, home):
        super().__init__()
        port = free_base_port([0])
        self.urls = [f"http://127.0.0.1:{port}"]
        self.process = self.spawn([program, "--port", port, "--data-dir", home / "data"], home / "log")
        self.wait_for_port(self.process, port)


URSULA = """[server]
listen = "127.0.0.1:{port}"
admin_listen = "127.0.0.1:{admin_port}"
cluster_id = "weir-bench"

[raft]
node_id = {node}
group_count = {groups}

[raft.wal]
path = "{wal}"
{fsync}
{peers}
"""


class Ursula(Server):
    """Three nodes of crate `ursula` with `raft.wal.path` set."""

    target = "ursula"

    def __init__(self, program, home, fsync, groups):
        super().__init__()
        base = free_base_port([0, 1, 2, 3, 4, 5])
        ports = [base, base + 1, base + 2]
        self.urls = [f"http://127.0.0.1:{port}" for port in ports]
        peer = '[[raft.peers]]\nnode_id = {}\nurl = "{}"\n'
        peers = "\n".join(peer.format(node, url) for node, url in enumerate(self.urls, 1))
        for node, port in enumerate(ports, 1):
            config = home / f"{node}.toml"
            wal = home / f"wal-{node}"
            text = URSULA.format(
                port=port, admin_port=port + 3, node=node, groups=groups, wal=wal, peers=peers,
                fsync=f'fsync = "{fsync}"' if fsync else "",
            )
            config.write_text(text)
            self.spawn([program, "server", "--config", config], home / f"log-{node}")
        for process, port in zip(self.processes, ports):
            self.wait_for_port(process, port)
            wait_until(lambda at=port: ursula_is_ready(at), "Ursula to be ready", poll_s=0.2)


def ursula_is_ready(port):
    """Whether the node's groups have leaders."""
    try:
        return fetch(f"http://127.0.0.1:{port}/__ursula/ready") is not None
    except (urllib.error.URLError, OSError):
        return False


class Etcd(Server):
    """Three nodes of Debian's etcd with its defaults: every put is synced."""

    target = "etcd"

    def __init__(self, program, home):
        super().__init__()
        base = free_base_port([0, 1, 2, 3, 4, 5])
        names = ["one", "two", "three"]
        client = {name: f"http://127.0.0.1:{base + place}" for place, name in enumerate(names)}
        peer = {name: f"http://127.0.0.1:{base + 3 + place}" for place, name in enumerate(names)}
        self.urls = list(client.values())
        cluster = ",".join(f"{name}={url}" for name, url in peer.items())
        for name in names:
            command = [program, "--name", name, "--data-dir", home / name, "--initial-cluster", cluster]
            command += ["--initial-cluster-state", "new", "--initial-cluster-token", home.name]
            command += ["--listen-client-urls", client[name], "--advertise-client-urls", client[name]]
            command += ["--listen-peer-urls", peer[name], "--initial-advertise-peer-urls", peer[name]]
            self.spawn([*command, "--log-level", "error"], home / f"log-{name}")
        for url in self.urls:
            wait_until(lambda at=url: etcd_is_healthy(at), "etcd to be healthy", poll_s=0.2)


def etcd_is_healthy(url):
    """Whether the node has a leader."""
    try:
        return json.loads(fetch(f"{url}/health"))["health"] in ("true", True)
    except (urllib.error.URLError, OSError, ValueError, KeyError):
        return False


def data_bytes(path):
    """How much disk the files under a directory take."""
    return sum(file.stat().st_blocks * 512 for file in Path(path).rglob("*") if file.is_file())
