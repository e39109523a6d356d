"""Rules on the Dockerfile and on what the build may see; hadolint looks at the rest."""

import io
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from dockerfile_parse import DockerfileParser

from world import Image

# The C library that each build image links against must be the one of the image that it runs on.
DEBIAN_RELEASES = {"bookworm": "12", "trixie": "13", "forky": "14"}


def stages(text):
    """The Dockerfile's stages, each a list of (instruction, value)."""
    parsed = DockerfileParser(fileobj=io.BytesIO(text.encode())).structure
    found = []
    for part in parsed:
        if part["instruction"] == "FROM":
            found.append([])
        if found and part["instruction"] != "COMMENT":
            found[-1].append((part["instruction"], part["value"]))
    return found


def image(text, version):
    """What the last stage says to whoever runs the image."""
    facts = Image(version=version)
    for instruction, value in stages(text)[-1]:
        match instruction:
            case "USER":
                facts.user = value
            case "ENTRYPOINT":
                facts.entrypoint = exec_form(value)
            case "CMD":
                facts.command = exec_form(value)
            case "VOLUME":
                facts.volumes = exec_form(value)
            case "EXPOSE":
                facts.ports |= {int(port.removesuffix("/tcp")) for port in value.split()}
            case "ENV":
                facts.environment |= dict(pair.split("=", 1) for pair in value.split())
    return facts


def exec_form(value):
    return json.loads(value) if value.startswith("[") else [f"a shell, for {value}"]


def broken(text, workspace):
    """A sentence for each thing that is wrong. `workspace` is the root Cargo.toml, parsed."""
    parts = stages(text)
    if len(parts) < 2:
        return ["the compiler is part of the image: there is one stage only"]
    return [*broken_build(parts[0], workspace), *broken_final(parts)]


def broken_build(stage, workspace):
    tag = re.search(r"^rust:(\d+)\.(\d+)\S*-(\w+) AS \w+$", stage[0][1])
    needed = tuple(int(number) for number in workspace["workspace"]["package"]["rust-version"].split(".")[:2])
    if not tag or tag[3] not in DEBIAN_RELEASES:
        yield f"the build image {stage[0][1]} should be rust:VERSION-RELEASE AS NAME"
    elif (int(tag[1]), int(tag[2])) < needed:
        yield f"the build image has Rust {tag[1]}.{tag[2]}, and the workspace needs {needed[0]}.{needed[1]}"
    builds = [value for instruction, value in stage if instruction == "RUN" and "cargo build" in value]
    if len(builds) != 1 or not {"--release", "--locked"} <= set(builds[0].split()):
        yield "the program should be built once, with --release --locked"


def broken_final(parts):
    final, build = parts[-1], parts[0]
    base = final[0][1]
    tag = re.search(r"distroless/(?:cc|base)-debian(\d+):nonroot(@sha256:[0-9a-f]{64})?$", base)
    if not tag:
        yield f"the last stage starts from {base}, and should from distroless with a C library, nonroot"
    elif tag[1] != DEBIAN_RELEASES.get(build[0][1].split(" ")[0].rsplit("-", 1)[-1]):
        yield f"{base} and {build[0][1]} are of two Debian releases, with two C libraries"
    for instruction, value in final:
        if instruction in ("RUN", "ADD", "SHELL", "HEALTHCHECK"):
            yield f"{instruction} {value}: the last stage has no shell, and copies from the build alone"
        if instruction == "COPY" and f"--from={build[0][1].split(' ')[-1]}" not in value.split():
            yield f"COPY {value}: not from the build stage"
    facts = image("\n".join(f"{instruction} {value}" for instruction, value in final), "")
    if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", facts.user):
        yield f"USER {facts.user or 'is missing'}: it should be a number other than 0, with a group"
    copied = [value.split()[-1] for instruction, value in final if instruction == "COPY"]
    if len(facts.entrypoint) != 1 or facts.entrypoint[0] not in copied:
        yield f"ENTRYPOINT {facts.entrypoint} is not the program alone, or is copied nowhere"
    if len(facts.volumes) != 1 or facts.volumes[0] not in copied:
        yield f"VOLUME {facts.volumes} is not one directory that the image has, so it belongs to root"
    elif not any(f"--chown={facts.user}" in value and value.endswith(facts.volumes[0]) for _, value in final):
        yield f"VOLUME {facts.volumes} does not belong to {facts.user}"
    elif facts.environment.get("WEIR_DATA_DIR") != facts.volumes[0]:
        yield f"WEIR_DATA_DIR is not the volume {facts.volumes[0]}"


def hadolint(text):
    """What hadolint says, or an empty list."""
    program = Path(sys.prefix) / "bin" / "hadolint"
    command = [program, "--no-color", "--disable-ignore-pragma", "--format", "gnu", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
    said = (done.stdout + done.stderr).strip().splitlines()
    return said or ([f"hadolint ended with {done.returncode}"] if done.returncode else [])


def allowed(ignore_text):
    """What the build context holds. Only the one form that we use is understood: all is left out, but for paths."""
    lines = [line for line in ignore_text.splitlines() if line and not line.startswith("#")]
    if lines[:1] != ["*"] or any(not re.fullmatch(r"![\w./-]+", line) for line in lines[1:]):
        raise ValueError("Dockerfile.dockerignore should be * and then lines that begin with !")
    return [line[1:] for line in lines[1:]]


def broken_context(root, ignore_text, scratch):
    """Whether cargo can read the workspace from what the build may see. Nothing is compiled."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    for name in allowed(ignore_text):
        source, target = root / name, scratch / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("target", "node_modules"))
        elif source.is_file():
            shutil.copyfile(source, target)
    command = ["cargo", "metadata", "--no-deps", "--offline", "--format-version", "1"]
    done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=120)
    if done.returncode:
        return [f"cargo cannot read the workspace from the build context: {done.stderr.strip()}"]
    if not (scratch / "Cargo.lock").is_file():
        return ["Cargo.lock is not in the build context, and the build is --locked"]
    # Of targets that the image is built from, cargo looks for the source only when it compiles.
    packages = json.loads(done.stdout)["packages"]
    sources = [Path(target["src_path"]) for package in packages for target in package["targets"] if is_built(target)]
    return [f"{source} is not in the build context" for source in sources if not source.is_file()]


def is_built(target):
    return bool({"lib", "bin", "proc-macro", "custom-build"} & set(target["kind"]))


def workspace(root):
    return tomllib.loads((root / "Cargo.toml").read_text())
