"""Finding or fetching kubectl, and rendering with it."""

import hashlib
import platform
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

import yaml

MIN_KUSTOMIZE_MAJOR = 5
HINT = "install kubectl 1.27 or later (https://kubernetes.io/docs/tasks/tools/; on Debian 13: apt-get install kubectl)"

# Debian 13's package. It runs on Debian 12 too, whose own is too old.
DEBIAN_PATH = "pool/main/k/kubernetes/kubectl_1.32.3+ds-2_{arch}.deb"
DEBIAN_SHA256 = {
    "amd64": "9825aaf4c14913027aae04af8688e580459f781c829bd5de00cc4dc2cc5a867f",
    "arm64": "b85800b5e2d2ecc958e2b9dfa7d4ce13b14e1175242de1f71acb4fa4b0b63212",
}


class Missing(Exception):
    """There is no kubectl and none can be had."""


def find(tools):
    """The kubectl of this machine; where it has none, or too old a one, Debian's, unpacked below `tools`."""
    tried = []
    for program in (shutil.which("kubectl"), tools / "kubectl"):
        if program and Path(program).is_file():
            version = kustomize_version(program)
            if version and version[0] >= MIN_KUSTOMIZE_MAJOR:
                return Path(program), ".".join(map(str, version))
            tried.append(f"{program} has kustomize {version}")
    try:
        fetch(tools)
    except (Missing, OSError, subprocess.SubprocessError) as error:
        raise Missing(f"{'; '.join([*tried, str(error)])}; {HINT}") from error
    return tools / "kubectl", ".".join(map(str, kustomize_version(tools / "kubectl")))


def kustomize_version(program):
    done = subprocess.run([program, "version", "--client"], capture_output=True, text=True, timeout=60)
    found = re.search(r"Kustomize Version: v(\d+)\.(\d+)\.(\d+)", done.stdout)
    return tuple(int(number) for number in found.groups()) if found else None


def fetch(tools):
    """Debian's package from the mirror that this machine is set up with. Installs nothing and needs no root."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise Missing("this is not Debian, so kubectl cannot be fetched")
    arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine())
    if arch is None:
        raise Missing(f"no kubectl is known for {platform.machine()}")
    listed = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    mirrors = subprocess.run(listed, capture_output=True, text=True, timeout=60, check=True).stdout.split()
    reasons = []
    for mirror in dict.fromkeys(mirrors):
        url = f"{mirror.rstrip('/')}/{DEBIAN_PATH.format(arch=arch)}"
        try:
            with urllib.request.urlopen(url, timeout=120) as answer:
                package = answer.read()
        except OSError as error:
            reasons.append(f"{url}: {error}")
            continue
        if hashlib.sha256(package).hexdigest() != DEBIAN_SHA256[arch]:
            raise Missing(f"{url} is not the package that is pinned")
        return unpack(package, tools)
    raise Missing("; ".join(reasons) or "apt-get update was never run here, so no mirror is known")


def unpack(package, tools):
    tools.mkdir(parents=True, exist_ok=True)
    (tools / "kubectl.deb").write_bytes(package)
    subprocess.run(["dpkg-deb", "-x", tools / "kubectl.deb", tools / "kubectl.unpacked"], check=True, timeout=120)
    # The name appears at once or not at all, so a run that was killed leaves nothing half done.
    (tools / "kubectl.unpacked/usr/bin/kubectl").replace(tools / "kubectl")


def render(program, directory):
    """The text of an overlay. Warnings are errors."""
    done = subprocess.run([program, "kustomize", directory], capture_output=True, text=True, timeout=120)
    if done.returncode or done.stderr:
        raise ValueError(f"kubectl kustomize {directory} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def parse(text):
    return [item for item in yaml.safe_load_all(text) if item]
