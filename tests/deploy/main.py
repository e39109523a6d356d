"""Renders the Kubernetes overlays, validates them, applies the rules, and breaks them to see that it is noticed.

Ends with 0 and a line that begins with "deploy: all passed", or with 1 and a line for each thing that is wrong.
"""

import argparse
import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import kubernetes_validate

import dockerfile
import kubectl
import monitoring
import mutations
import rules_network  # noqa: F401 (its rules register themselves)
import rules_workload  # noqa: F401
from world import RULES, World, broken

OVERLAYS = {"dev": 1, "cluster": 3}
# From the first with everything that the manifests use (preStop's sleep) to the newest that the validator knows.
KUBERNETES = [f"1.{minor}" for minor in range(30, 38)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="the checkout")
    parser.add_argument("--work", type=Path, required=True, help="a directory for what is fetched and rendered")
    parser.add_argument("--weir", type=Path, help="the program: it must accept each pod's arguments and environment")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    failures = run(options.root.resolve(), options.work.resolve(), options.weir)
    for failure in failures:
        print(f"deploy: FAILED: {failure}")
    return 1 if failures else 0


def run(root, work, weir):
    deploy = root / "deploy"
    docker_text = (deploy / "Dockerfile").read_text()
    workspace = dockerfile.workspace(root)
    image = dockerfile.image(docker_text, workspace["workspace"]["package"]["version"])
    failures = [*check_dockerfile(root, docker_text, workspace, work), *monitoring.broken(deploy / "monitoring")]
    program, version = kubectl.find(work)
    print(f"deploy: rendering with {program} (kustomize {version})")
    worlds = {}
    for name, replicas in OVERLAYS.items():
        text = kubectl.render(program, deploy / "overlays" / name)
        (work / f"{name}.yaml").write_text(text)
        worlds[name] = World(kubectl.parse(text), image)
        failures += [f"{name}: {sentence}" for sentence in validate(work / f"{name}.yaml")]
        failures += [f"{name}: {rule}: {sentence}" for rule, sentence in broken(worlds[name])]
        if worlds[name].replicas != replicas:
            failures.append(f"{name}: it has {worlds[name].replicas} nodes instead of {replicas}")
        if weir:
            failures += [f"{name}: {sentence}" for sentence in refused(worlds[name], weir)]
    if failures:
        return failures
    failures = [*unnoticed(worlds["cluster"]), *unnoticed_in_the_image(root, docker_text, workspace, work)]
    if not failures:
        lists = (mutations.MANIFESTS, mutations.SCHEMA, mutations.DOCKERFILE, mutations.CONTEXT)
        count = sum(map(len, lists)) + 1
        objects = sum(len(world.objects) for world in worlds.values())
        print(
            f"deploy: all passed: {len(worlds)} overlays, {objects} objects valid for Kubernetes {KUBERNETES[0]} to "
            f"{KUBERNETES[-1]}, {len(RULES)} rules, {count} of {count} mutations noticed, "
            f"{'accepted by the program' if weir else 'the program itself was not asked'}"
        )
    return failures


def check_dockerfile(root, text, workspace, work):
    ignore = (root / "deploy" / "Dockerfile.dockerignore").read_text()
    said = [
        *dockerfile.hadolint(text),
        *dockerfile.broken(text, workspace),
        *dockerfile.broken_context(root, ignore, work / "context"),
    ]
    return [f"Dockerfile: {sentence}" for sentence in said]


def validate(path):
    """What `kubernetes-validate --strict` says, for each version."""
    for version in KUBERNETES:
        program = Path(sys.prefix) / "bin" / "kubernetes-validate"
        command = [program, "--strict", "--quiet", "--kubernetes-version", version, path]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if done.returncode or done.stdout or done.stderr:
            yield f"kubernetes-validate --strict, {version}, ended with {done.returncode}: {done.stdout}{done.stderr}"


def refused(world, weir):
    """Whether the program takes what the pods give it. It refuses variables that it does not know."""
    for ordinal in range(world.replicas):
        wanted = {key: value for key, value in world.environment(ordinal).items() if key.startswith("WEIR_")}
        plain = {key: value for key, value in os.environ.items() if not key.startswith("WEIR_")}
        command = [weir, "config", "--json"]
        done = subprocess.run(command, env=plain | wanted, capture_output=True, text=True, timeout=60)
        if done.returncode:
            yield f"node {ordinal}: weir config ended with {done.returncode}: {done.stderr.strip()}"
            continue
        told = json.loads(done.stdout)
        for key, value in wanted.items():
            setting = told.get(key.removeprefix("WEIR_").lower(), {})
            if value and not str(setting.get("source", "")).endswith(key):
                yield f"node {ordinal}: {key}={value} is not what counts: {setting}"
    arguments = world.container["args"]
    done = subprocess.run([weir, *arguments, "--help"], capture_output=True, text=True, timeout=60)
    if done.returncode:
        yield f"weir {' '.join(arguments)} is no command: {done.stderr.strip()}"


def unnoticed(world):
    """Every mutation that goes unnoticed, and every rule that no mutation breaks."""
    failures, used = [], set()
    for title, rule, mutate in mutations.MANIFESTS:
        mutant = copy.deepcopy(world)
        mutate(mutant)
        noticed = {name for name, _ in broken(mutant)}
        used.add(rule)
        if rule not in noticed:
            failures.append(f"'{title}' was not noticed by {rule}, but by {sorted(noticed) or 'nothing'}")
    failures += [f"no mutation breaks {rule.__name__}" for rule in RULES if rule.__name__ not in used]
    for title, mutate in mutations.SCHEMA:
        mutant = copy.deepcopy(world)
        mutate(mutant)
        try:
            kubernetes_validate.validate(mutant.workload, KUBERNETES[-1], strict=True)
            failures.append(f"'{title}' was not noticed by the schemas")
        except kubernetes_validate.ValidationError:
            pass
    return failures


def unnoticed_in_the_image(root, text, workspace, work):
    """Every mutation of the Dockerfile and of what the build may see that goes unnoticed."""
    for title, old, changed, complaint in mutations.DOCKERFILE:
        assert old in text, f"'{title}': {old} is not in the Dockerfile"
        if not any(complaint in said for said in dockerfile.broken(text.replace(old, changed), workspace)):
            yield f"'{title}' was not noticed in the Dockerfile"
    if not dockerfile.hadolint(f"{text}RUN sudo true\n"):
        yield "hadolint notices nothing"
    ignore = (root / "deploy" / "Dockerfile.dockerignore").read_text()
    for line, complaint in mutations.CONTEXT:
        assert line in ignore, f"{line} is not in Dockerfile.dockerignore"
        said = dockerfile.broken_context(root, ignore.replace(line, ""), work / "context")
        if not any(complaint in sentence for sentence in said):
            yield f"a build context without {line.strip()} was not noticed"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except kubectl.Missing as error:
        sys.exit(f"deploy: FAILED: no kubectl: {error}")
