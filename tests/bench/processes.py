"""Processes, ports and files of a run: everything that is started is ended by its id, and every directory goes away."""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

START_TIMEOUT_S = 120
END_TIMEOUT_S = 30
POLL_S = 0.01


class Failure(Exception):
    """A measurement that cannot be made."""


class Process:
    """A running program, with its output in a file."""

    def __init__(self, command, log, cwd=None):
        self.command = [str(word) for word in command]
        self.log = Path(log)
        # What the environment would tell a server is not what is measured.
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("WEIR_", "ETCD_"))}
        with open(self.log, "ab") as out:
            self.child = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=plain, cwd=cwd
            )
        self.pid = self.child.pid

    def must_live(self):
        """Complains with the log's end when the program has ended."""
        if self.child.poll() is not None:
            end = self.log.read_text(errors="replace")[-2000:]
            raise Failure(f"{self.command[0]} ended with {self.child.returncode}: {end}")

    def kill(self):
        """kill -9, and waits until it is gone."""
        self.child.kill()
        self.child.wait(END_TIMEOUT_S)

    def end(self):
        """Asks it to end, and insists after a while."""
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()


def kill_pid(pid):
    """kill -9 of a process that is not our child, and waits until it is gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    wait_until(lambda: not is_there(pid), f"process {pid} to end", END_TIMEOUT_S)


def is_there(pid):
    """Whether a process is there; one that ended and was not waited for is not."""
    try:
        return not Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].startswith(" Z")
    except (FileNotFoundError, ProcessLookupError):
        return False


def resident_bytes(pid):
    """What the process has of the memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise Failure(f"/proc/{pid}/status has no VmRSS")


def cpu_seconds(pid):
    """What the process has used of the processors, in user and system time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until(is_so, what, timeout_s=START_TIMEOUT_S, poll_s=POLL_S):
    """Waits until something is so."""
    end = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > end:
            raise Failure(f"waited {timeout_s} s in vain for {what}")
        time.sleep(poll_s)


def answers(port):
    """Whether somebody listens on the port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_base_port(offsets):
    """A port such that all ports at these offsets from it are free; below those that the system gives to anybody."""
    for _ in range(200):
        base = random.randrange(12_000, 30_000, 50)
        if all(is_free(base + offset) for offset in offsets):
            return base
    raise Failure("no ports are free")


def is_free(port):
    """Whether the port can be listened on."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class Home:
    """A directory for one server's data and logs, with a random name, gone at the end."""

    def __init__(self, root=None):
        self.path = Path(tempfile.mkdtemp(prefix="weir-bench-", dir=root))

    def __enter__(self):
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)
        # What was written must not cost the next measurement its disk.
        os.sync()
