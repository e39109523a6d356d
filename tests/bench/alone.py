"""The lines that measure Weir alone: memory, restart, failover, idle nodes."""

import http.client
import statistics
import threading
import time

from figures import Figure, say
from processes import Failure, Home, Process, cpu_seconds, kill_pid, resident_bytes, wait_until
from servers import WeirCluster, WeirDev, data_bytes
from side_by_side import bench

SETTLE_S = 20


def idle_memory(context):
    """100,000 streams with one message of 100 B each, one node: resident bytes per stream, nobody using them"""
    count = 100_000
    with Home(context.directory) as home, WeirDev(context.weir, home).start() as server:
        # What the first requests need at all is no stream's.
        bench(context, "create", server, "--count", 100, "--size", 100)
        time.sleep(2)
        before = resident_bytes(server.process.pid)
        run = bench(context, "create", server, "--count", count, "--size", 100)
        if run["operations"] != count:
            raise Failure(f"{run['operations']} of {count} streams were created: {run['errors']}")
        at_once = resident_bytes(server.process.pid)
        time.sleep(5 if context.quick else 30)
        after = resident_bytes(server.process.pid)
        server.process.end()
        server.start()
        time.sleep(5)
        restarted = resident_bytes(server.process.pid)
    more = {"before": before, "at_once": at_once, "after": after, "restarted": restarted}
    say(f"  resident MiB: {', '.join(f'{name} {value / 2**20:.1f}' for name, value in more.items())}")
    more["streams"] = count
    weir = (after - before) / count
    return Figure("idle-memory", "B per stream", weir, "under 500", met=weir < 500, more=more)


def restart(context):
    """kill -9 under load with 2 GiB stored, one node: from the start to the first answered read and write"""
    stored = (256 << 20) if context.quick else (2 << 30)
    times = []
    with Home(context.directory) as home, WeirDev(context.weir, home).start() as server:
        size = 65_536
        fill = ("--count", stored // size, "--size", size, "--connections", 16, "--streams", 64)
        bench(context, "append", server, *fill, "--prefix", "stored")
        for _ in range(context.runs):
            times.append(restart_once(context, home, server))
            say(f"  answers after {times[-1]:.3f} s")
        stored_bytes = data_bytes(home / "data")
    worst = max(times)
    more = {"runs": times, "payload_bytes": stored, "data_directory_bytes": stored_bytes}
    return Figure("restart", "s (worst)", worst, "within 3 s", met=worst <= 3, more=more)


def restart_once(context, home, server):
    """One kill under load and one restart, in seconds."""
    load = [context.weir, "bench", "append", "--url", server.urls[0], "--duration", "60s", "--connections", "16"]
    load = Process([*load, "--json"], home / "load.log")
    time.sleep(3)
    load.must_live()
    server.process.kill()
    load.kill()
    begin = time.monotonic()
    server.start(wait=False)
    path = "/v1/stream/stored-0"
    wait_until(lambda: is_served(server, "GET", f"{path}?offset=-1"), "a read", poll_s=0.002)
    wait_until(lambda: is_served(server, "POST", path, b"x"), "a write", poll_s=0.002)
    return time.monotonic() - begin


def is_served(server, method, path, body=None):
    """Whether a request is answered with success."""
    server.process.must_live()
    try:
        return request(server.port, method, path, body, timeout_s=30) < 300
    except (OSError, http.client.HTTPException):
        return False


def request(port, method, path, body=None, timeout_s=30):
    """One request's status; the answer is read to its end."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        headers = {} if body is None else {"Content-Type": "application/octet-stream"}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


# With 16 groups, that one of them has none of so many streams has a chance of one in 25 million.
LEADER_KILL_STREAMS = 300


def leader_kill(context):
    """kill -9 of a leader under load, three nodes, default timers: until writes to all streams answer again"""
    kills = 3 if context.quick else 20
    times, halves, failures = [], [], []
    with Home(context.directory) as home, WeirCluster(context.weir, home).start() as server:
        prefix = "killed"
        bench(context, "create", server, "--count", LEADER_KILL_STREAMS, "--prefix", prefix)
        for number in range(kills):
            seconds, led, errors = kill_once(context, home, server, prefix)
            times.append(max(seconds))
            halves.append(statistics.median(seconds))
            failures += errors
            say(
                f"  kill {number + 1}: {led} groups were led; streams written again: half of them after"
                f" {halves[-1]:.3f} s, all after {times[-1]:.3f} s {errors}"
            )
    worst = max(times)
    within = sum(seconds <= 4 for seconds in times)
    more = {"runs": times, "half_of_the_streams": halves, "within_4_s": within, "kills": kills, "answers_that_were_no_success": failures}
    return Figure("leader-kill", "s (worst)", worst, f"within 4 s, {kills} of {kills}", met=within == kills, more=more)


def kill_once(context, home, server, prefix):
    """Kills the node that leads most groups, and has every stream written at the others."""
    groups, ids = server.groups(), server.node_ids()
    led = {place: sum(leader == node for leader in groups.values()) for place, node in ids.items()}
    victim = max(led, key=led.get)
    others = [server.client_port(place) for place in ids if place != victim]
    load = [context.weir, "bench", "append", "--duration", "60s", "--connections", "16", "--streams", "100"]
    for port in others:
        load += ["--url", f"http://127.0.0.1:{port}"]
    load = Process([*load, "--json"], home / "load.log")
    time.sleep(3)
    load.must_live()
    begin = time.monotonic()
    kill_pid(server.pid(victim))
    seconds, errors = write_all(prefix, others, begin)
    load.must_live()
    load.kill()
    server.start_again(victim)
    server.settle()
    return seconds, led[victim], errors


def write_all(prefix, ports, begin):
    """Writes to every stream once, each again until it succeeds: how long each took, and other answers."""
    times, errors = [], []

    def write(number):
        path, port = f"/v1/stream/{prefix}-{number}", ports[number % len(ports)]
        while time.monotonic() - begin < 60:
            try:
                status = request(port, "POST", path, b"x")
                if status < 300:
                    times.append(time.monotonic() - begin)
                    return
                errors.append(status)
            except (OSError, http.client.HTTPException) as error:
                errors.append(type(error).__name__)
            time.sleep(0.02)

    threads = [threading.Thread(target=write, args=[number]) for number in range(LEADER_KILL_STREAMS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(times) != LEADER_KILL_STREAMS:
        raise Failure(f"only {len(times)} of {LEADER_KILL_STREAMS} streams could be written within a minute: {errors}")
    return times, errors


def idle_cpu(context):
    """Three idle nodes with 16 groups: what all together use of one core"""
    seconds = 10 if context.quick else 30
    with Home(context.directory) as home, WeirCluster(context.weir, home, ["--groups", "16"]).start() as server:
        time.sleep(5 if context.quick else SETTLE_S)
        pids = [server.pid(node) for node in range(1, server.COUNT + 1)]
        before, begin = [cpu_seconds(pid) for pid in pids], time.monotonic()
        time.sleep(seconds)
        used = [cpu_seconds(pid) - was for pid, was in zip(pids, before)]
        took = time.monotonic() - begin
    percent = 100 * sum(used) / took
    more = {"seconds": took, "cpu_seconds": used}
    return Figure("idle-cpu", "% of one core", percent, "under 3 % in all", met=percent < 3, more=more)


LINES = {
    "idle-memory": idle_memory,
    "restart": restart,
    "leader-kill": leader_kill,
    "idle-cpu": idle_cpu,
}
