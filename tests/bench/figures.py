"""Medians, ratios and bars."""

import json
import statistics
import sys


class Figure:
    """One line's outcome: a value for Weir, perhaps one for a peer, and whether the bar is met."""

    def __init__(self, line, unit, weir, bar, peer=None, peer_name=None, ratio=None, met=None, more=None):
        self.line, self.unit, self.weir, self.bar = line, unit, weir, bar
        self.peer, self.peer_name, self.ratio, self.met, self.more = peer, peer_name, ratio, met, more or {}

    def text(self):
        """For people."""
        parts = [f"{self.line}: Weir {number(self.weir)} {self.unit}"]
        if self.peer is not None:
            parts.append(f"{self.peer_name} {number(self.peer)} {self.unit}")
        if self.ratio is not None:
            parts.append(f"ratio {self.ratio:.2f}")
        verdict = "met" if self.met else "MISSED"
        return f"{', '.join(parts)}; bar: {self.bar}: {verdict}"

    def json(self):
        """For programs."""
        return vars(self)


def number(value):
    """Three digits, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def median(runs, pick):
    """The median of what `pick` takes from each run."""
    return statistics.median(pick(run) for run in runs)


def throughput(run):
    """Operations per second of a `weir bench` run."""
    return run["per_second"]


def mib_per_second(run):
    """MiB per second of a `weir bench` run."""
    return run["bytes_per_second"] / (1 << 20)


def p99_ms(run):
    """The 99th percentile of latency, in milliseconds."""
    return run["latency_us"]["p99"] / 1000


def cpu_cores(runs):
    """How much of one core the load generator used."""
    return round(median(runs, lambda run: run["client_cpu_seconds"] / max(run["seconds"], 1e-6)), 3)


def errors(runs):
    """All errors of all runs, in the warm-up or not."""
    total = {}
    for run in runs:
        for why, count in run["errors"].items():
            total[why] = total.get(why, 0) + count
        if run["errors_in_warm_up"]:
            total["in warm-up"] = total.get("in warm-up", 0) + run["errors_in_warm_up"]
    return total


def say(text):
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


def show_run(who, run):
    """One run in a line, on stderr."""
    latency = run["latency_us"]
    say(
        f"  {who:<16} {run['per_second']:>10,.0f}/s {mib_per_second(run):>9,.1f} MiB/s  p50 {latency['p50'] / 1000:.2f}"
        f" p99 {latency['p99'] / 1000:.2f} max {latency['max'] / 1000:.1f} ms  client {run['client_cpu_seconds']:.1f} s"
        f"  errors {json.dumps(run['errors'])} {json.dumps(run['counts'])}"
    )
