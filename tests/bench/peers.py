"""Where the programs come from: Weir from this checkout, the others into a cache outside it."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from processes import Failure

ROOT = Path(__file__).resolve().parents[2]

# The versions that the bars are about.
CRATES = {"durable-streams": ("0.1.5", "durable-streams-server"), "ursula": ("0.11.5", "ursula")}
ETCD_PACKAGES = ["etcd-server"]


def cache():
    """The cache's directory."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(os.environ.get("WEIR_BENCH_CACHE") or Path(base) / "weir-bench")
    path.mkdir(parents=True, exist_ok=True)
    return path


def run(command, **options):
    """Runs a command that must succeed."""
    print("+", *command, flush=True)
    done = subprocess.run([str(word) for word in command], **options)
    if done.returncode:
        raise Failure(f"{command[0]} ended with {done.returncode}")


def weir():
    """Weir, built for release."""
    run(["cargo", "build", "--release", "-p", "weir"], cwd=ROOT)
    target = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
    return target / "release" / "weir"


def crate(name):
    """A peer from crates.io."""
    version, binary = CRATES[name]
    root = cache() / name
    program = root / "bin" / binary
    receipt = root / ".crates.toml"
    if not (program.exists() and receipt.exists() and f"{name} {version} " in receipt.read_text()):
        environment = {**os.environ, "CARGO_TARGET_DIR": str(cache() / "target")}
        install = ["cargo", "install", name, "--version", version, "--locked", "--root", root]
        run(install, env=environment, cwd=cache())
    return program


def etcd():
    """Debian's etcd: the installed one, or the package unpacked into the cache."""
    program = shutil.which("etcd") or cache() / "etcd" / "usr" / "bin" / "etcd"
    if not Path(program).exists():
        if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
            raise Failure("etcd is missing, and only Debian's package is fetched from here")
        with tempfile.TemporaryDirectory(prefix="weir-bench-") as work:
            # apt's own user writes it.
            os.chmod(work, 0o755)
            run(["apt-get", "download", *ETCD_PACKAGES], cwd=work)
            for package in Path(work).glob("*.deb"):
                run(["dpkg-deb", "-x", package, cache() / "etcd"])
    return Path(program)
