"""The lines that compare Weir with a peer: both in turn, in the same minutes, with fresh data each time."""

import json
import subprocess

import figures
import peers
from figures import Figure, say
from processes import Failure, Home
from servers import DurableStreams, Etcd, Ursula, WeirCluster, WeirDev

# Longer than any run with its preparation.
BENCH_TIMEOUT_S = 900


def bench(context, work, server, *args, urls=None):
    """One run of `weir bench` on a server."""
    command = [context.weir, "bench", work, "--target", server.target, "--json"]
    for url in urls or server.urls:
        command += ["--url", url]
    command = [str(word) for word in [*command, *args]]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=BENCH_TIMEOUT_S)
    if done.returncode:
        raise Failure(f"{' '.join(command)} ended with {done.returncode}: {done.stdout}")
    return json.loads(done.stdout)


def time_args(context):
    """For how long to measure."""
    return ("--duration", "4s", "--warm-up", "1s") if context.quick else ("--duration", "10s", "--warm-up", "3s")


def alternate(context, sides):
    """Runs each side as often as wanted, in turn; whoever begins changes."""
    outcomes = {name: [] for name in sides}
    for number in range(context.runs):
        order = list(sides) if number % 2 == 0 else list(reversed(sides))
        for name in order:
            with Home(context.directory) as home:
                run = sides[name](home)
            figures.show_run(name, run)
            outcomes[name].append(run)
    return outcomes


def compare(context, line, peer_name, sides, pick, unit, bar, smaller_is_better=False):
    """A figure from both sides' medians. `bar` is the least ratio; above 1 Weir is the better one."""
    say(f"{line}: {context.runs} runs of each side")
    outcomes = alternate(context, sides)
    weir_runs, peer_runs = outcomes["weir"], outcomes[peer_name]
    weir, peer = figures.median(weir_runs, pick), figures.median(peer_runs, pick)
    ratio = peer / weir if smaller_is_better else weir / peer
    more = {
        "runs": outcomes,
        "weir_client_cores": figures.cpu_cores(weir_runs),
        "peer_client_cores": figures.cpu_cores(peer_runs),
        "weir_errors": figures.errors(weir_runs),
        "peer_errors": figures.errors(peer_runs),
    }
    met = ratio >= bar and not more["weir_errors"]
    text = f"at least {bar} of {peer_name}" if not smaller_is_better else f"no worse than {peer_name}"
    return Figure(line, unit, weir, text, peer, peer_name, ratio, met, more)


def one_node(context, work, *args):
    """Both sides of a line about one node."""

    def weir(home):
        with WeirDev(context.weir, home).start() as server:
            return bench(context, work, server, *args)

    def durable_streams(home):
        with DurableStreams(peers.crate("durable-streams"), home) as server:
            return bench(context, work, server, *args)

    return {"weir": weir, "durable-streams": durable_streams}


def append(context, line, connections, streams):
    """256 B appends on one node."""
    args = ("--connections", connections, "--streams", streams, "--size", 256, *time_args(context))
    sides = one_node(context, "append", *args)
    return compare(context, line, "durable-streams", sides, figures.throughput, "appends/s", 0.8)


def append_64(context):
    """256 B appends, 64 connections on 100 streams, one node"""
    return append(context, "append-64", 64, 100)


def append_10k(context):
    """256 B appends, 256 connections on 10,000 streams, one node"""
    return append(context, "append-10k", 256, 10_000)


def append_1(context):
    """256 B appends, 1 connection, one node"""
    return append(context, "append-1", 1, 100)


def catch_up(context):
    """16 readers of 16 MiB streams, one node"""
    args = ("--connections", 16, "--streams", 16, "--stream-bytes", 16 << 20, *time_args(context))
    sides = one_node(context, "catch-up", *args)
    return compare(context, "catch-up", "durable-streams", sides, figures.mib_per_second, "MiB/s", 0.5)


def sse_args(context):
    """1,000 subscribers of one stream with 20 messages per second."""
    return ("--connections", 1000, "--streams", 1, "--rate", 20, "--size", 256, *time_args(context))


def sse(context):
    """1,000 SSE subscribers of one stream, one writer at 20/s, one node"""
    sides = one_node(context, "sse", *sse_args(context))
    return compare(context, "sse", "durable-streams", sides, figures.p99_ms, "ms p99", 1, smaller_is_better=True)


def sse_follower(context):
    """The same on a follower: three nodes with one group, the writer at its leader, the subscribers at another node"""
    sides = one_node(context, "sse", *sse_args(context))

    def weir(home):
        # With one group it is known who leads the stream, and there is nothing to balance.
        with WeirCluster(context.weir, home, ["--groups", "1"]).start() as server:
            leader = server.only_leader()
            at_leader, at_follower = server.urls[leader - 1], server.urls[leader % server.COUNT]
            run = bench(context, "sse", server, "--write-url", at_leader, *sse_args(context), urls=[at_follower])
            if server.only_leader() != leader:
                raise Failure("the leader changed during the measurement")
            return run

    sides["weir"] = weir
    return compare(
        context, "sse-follower", "durable-streams", sides, figures.p99_ms, "ms p99", 1, smaller_is_better=True
    )


CLUSTER_ARGS = ("--connections", 64, "--streams", 100, "--size", 256)


def cluster(context, line, peer_name, peer):
    """256 B appends, 64 connections on 100 streams, three nodes on both sides."""

    def weir(home):
        with WeirCluster(context.weir, home, ["--groups", context.weir_groups]).start() as server:
            return bench(context, "append", server, *CLUSTER_ARGS, *time_args(context))

    def other(home):
        with peer(home) as server:
            return bench(context, "append", server, *CLUSTER_ARGS, *time_args(context))

    sides = {"weir": weir, peer_name: other}
    return compare(context, line, peer_name, sides, figures.throughput, "appends/s", 4)


def cluster_ursula(context):
    """Three nodes against Ursula with `raft.wal.fsync = "always"`, each stream driven at its leader"""
    program, groups = peers.crate("ursula"), context.ursula_groups
    return cluster(context, "cluster-ursula", "ursula", lambda home: Ursula(program, home, "always", groups))


def cluster_ursula_unsynced(context):
    """The same against Ursula's own default with three replicas, which does not sync before it answers"""
    program, groups = peers.crate("ursula"), context.ursula_groups
    return cluster(context, "cluster-ursula-unsynced", "ursula", lambda home: Ursula(program, home, None, groups))


def cluster_etcd(context):
    """Three nodes against Debian's etcd: puts of 256 B over gRPC from 64 clients on all nodes"""
    program = peers.etcd()
    return cluster(context, "cluster-etcd", "etcd", lambda home: Etcd(program, home))


LINES = {
    "append-64": append_64,
    "append-10k": append_10k,
    "append-1": append_1,
    "catch-up": catch_up,
    "sse": sse,
    "sse-follower": sse_follower,
    "cluster-ursula": cluster_ursula,
    "cluster-ursula-unsynced": cluster_ursula_unsynced,
    "cluster-etcd": cluster_etcd,
}
