"""Rules on the nodes themselves: membership, configuration, storage, life cycle, security."""

import re

from rules_network import anti_affinity, is_subset, match_labels
from world import rule

# What the program needs after WEIR_DRAIN_TIMEOUT: to flush (src/server/README.md, "Signals"), and to hand over.
FLUSH_SECONDS = 10
HAND_OVER_SECONDS = 5
MAX_GRACE_SECONDS = 300
# Opening the storage takes seconds; a slow disk and a large journal take longer, and being killed does not help.
MIN_STARTUP_SECONDS = 300
MIN_LIVENESS_SECONDS = 30


def seconds(text):
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
    parts = re.findall(r"(\d+)(ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text.replace(" ", ""):
        raise ValueError(f"{text} is no duration")
    return sum(int(number) * units[unit] for number, unit in parts)


@rule
def a_majority_survives_a_disruption(world):
    budgets = world.all("PodDisruptionBudget")
    if len(budgets) != 1 or not is_subset(match_labels(budgets[0]["spec"]["selector"]), world.labels):
        yield "there should be one PodDisruptionBudget, and it should select the nodes"
        return
    allowed, replicas = budgets[0]["spec"].get("maxUnavailable"), world.replicas
    if allowed != 1:
        yield f"maxUnavailable is {allowed} and should be 1: at 0 no machine can be drained, above 1 a majority may go"
    elif replicas > 1 and replicas - allowed < replicas // 2 + 1:
        yield f"of {replicas} nodes one missing leaves no majority"


@rule
def nodes_find_each_other_by_name(world):
    service, namespace = world.workload["spec"]["serviceName"], world.namespace
    pods = [f"{world.name}-{ordinal}" for ordinal in range(world.replicas)]
    for key, port in (("WEIR_PEER_ADVERTISE", "peers"), ("WEIR_CLIENT_ADVERTISE", "clients")):
        for ordinal, pod in enumerate(pods):
            names = {f"{pod}.{service}{rest}" for rest in ("", f".{namespace}.svc", f".{namespace}.svc.cluster.local")}
            address = world.environment(ordinal)[key]
            if address not in {f"{name}:{world.ports[port]}" for name in names}:
                yield f"{key} of {pod} is {address}, which is not its name in DNS with port {port}"
    advertised = [world.environment(ordinal)["WEIR_PEER_ADVERTISE"] for ordinal in range(world.replicas)]
    nodes = world.environment(0)["WEIR_NODES"].split(",")
    if nodes != advertised:
        yield f"WEIR_NODES is {nodes}, and the nodes advertise {advertised}"


@rule
def ports_are_listened_on(world):
    keys = {"WEIR_LISTEN": "clients", "WEIR_PEER_LISTEN": "peers", "WEIR_ADMIN_LISTEN": "admin"}
    for key, port in keys.items():
        host, _, number = world.environment(0)[key].rpartition(":")
        if host not in ("0.0.0.0", "[::]"):
            yield f"{key} listens on {host}, which other machines do not reach"
        if int(number) != world.ports[port]:
            yield f"{key} is port {number}, and the container's port {port} is {world.ports[port]}"


@rule
def the_environment_exists(world):
    for source in world.container.get("envFrom", []):
        reference = source.get("configMapRef", {})
        if world.named("ConfigMap", reference.get("name")) is None:
            yield f"envFrom names {source}, which is no ConfigMap of the overlay"
        if reference.get("optional") or source.get("prefix"):
            yield f"envFrom {reference.get('name')} should be neither optional nor prefixed"
    known = set()
    for entry in world.container.get("env", []):
        for name in re.findall(r"\$\((\w+)\)", entry.get("value", "")):
            if name not in known:
                yield f"{entry['name']} uses $({name}), which is not set before it"
        for kind, key in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
            reference = entry.get("valueFrom", {}).get(key)
            if reference and reference["key"] not in (world.named(kind, reference["name"]) or {}).get("data", {}):
                yield f"{entry['name']} takes {reference}, which does not exist"
        known.add(entry["name"])
    if world.pod.get("enableServiceLinks") is not False:
        yield "enableServiceLinks adds variables that begin with WEIR_"


@rule
def data_is_on_a_claim(world):
    spec = world.workload["spec"]
    claims = {claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", [])}
    volumes = claims | {volume["name"] for volume in world.pod.get("volumes", [])}
    mounts = world.container.get("volumeMounts", [])
    for mount in mounts:
        if mount["name"] not in volumes:
            yield f"mount {mount['mountPath']} names volume {mount['name']}, which does not exist"
    for unused in volumes - {mount["name"] for mount in mounts}:
        yield f"volume {unused} is mounted nowhere"
    data_dir = world.environment(0)["WEIR_DATA_DIR"]
    held = [mount for mount in mounts if mount["name"] in claims and not mount.get("readOnly")]
    if not any(data_dir == mount["mountPath"] or data_dir.startswith(mount["mountPath"] + "/") for mount in held):
        yield f"WEIR_DATA_DIR {data_dir} is on no claimed volume that may be written to"
    policy = spec.get("persistentVolumeClaimRetentionPolicy", {})
    if policy != {"whenDeleted": "Retain", "whenScaled": "Retain"}:
        yield f"claims are not retained: {policy}"


@rule
def probes_mean_what_they_say(world):
    for name, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        probe = world.container.get(name)
        if probe is None:
            yield f"there is no {name}"
            continue
        request = probe.get("httpGet", {})
        if request.get("path") != path:
            yield f"{name} asks {request.get('path')} instead of {path}"
        if request.get("port") != "admin" or "admin" not in world.ports:
            yield f"{name} asks port {request.get('port')}, which is not the named port admin"
        patience = probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3)
        least = {"startupProbe": MIN_STARTUP_SECONDS, "livenessProbe": MIN_LIVENESS_SECONDS}.get(name, 0)
        if patience < least:
            yield f"{name} gives up after {patience} s, and should wait {least} s"


@rule
def the_end_is_graceful_and_bounded(world):
    stop = world.container.get("lifecycle", {}).get("preStop", {})
    if set(stop) - {"sleep"}:
        yield f"preStop runs {sorted(stop)}, and the image has nothing to run"
    needed = stop.get("sleep", {}).get("seconds", 0) + seconds(world.environment(0)["WEIR_DRAIN_TIMEOUT"])
    needed += FLUSH_SECONDS + HAND_OVER_SECONDS
    grace = world.pod.get("terminationGracePeriodSeconds", 30)
    if not needed <= grace <= MAX_GRACE_SECONDS:
        yield f"terminationGracePeriodSeconds is {grace}, and should be from {needed:g} to {MAX_GRACE_SECONDS}"


@rule
def nodes_are_apart_and_start_together(world):
    spec = world.workload["spec"]
    if spec.get("podManagementPolicy") != "Parallel":
        yield "podManagementPolicy is not Parallel: a node that waits for its peers would keep them from starting"
    if spec.get("updateStrategy", {}).get("type") != "RollingUpdate":
        yield "updates do not go one by one"
    if "kubernetes.io/hostname" not in [term.get("topologyKey") for term in anti_affinity(world)]:
        yield "two nodes may run on one machine"
    zones = [item for item in world.pod.get("topologySpreadConstraints", []) if "/zone" in item["topologyKey"]]
    if not zones:
        yield "the nodes are not spread over zones"


@rule
def the_pod_has_no_more_rights_than_it_needs(world):
    pod, own = world.pod.get("securityContext", {}), world.container.get("securityContext", {})
    if pod.get("runAsNonRoot") is not True or not pod.get("runAsUser") or not pod.get("runAsGroup"):
        yield "the pod may run as root, or under an unknown user"
    if {"runAsUser", "runAsGroup", "runAsNonRoot", "seccompProfile"} & set(own):
        yield "the container overrides the pod's user or seccomp profile"
    if pod.get("fsGroup") != pod.get("runAsGroup"):
        yield "the volume does not belong to the program's group"
    if pod.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "the seccomp profile is not RuntimeDefault"
    if own.get("readOnlyRootFilesystem") is not True:
        yield "the root file system may be written to"
    if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
        yield "the container may gain rights"
    if own.get("capabilities") != {"drop": ["ALL"]}:
        yield "the container keeps capabilities"
    if any(world.pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC", "initContainers")):
        yield "the pod shares something with its machine, or runs another container first"
    if world.pod.get("automountServiceAccountToken") is not False:
        yield "the pod gets a token for the API server"
    if world.named("ServiceAccount", world.pod.get("serviceAccountName")) is None:
        yield f"service account {world.pod.get('serviceAccountName')} is not part of the overlay"


@rule
def memory_is_bounded_and_cpu_is_not(world):
    resources = world.container.get("resources", {})
    if not {"cpu", "memory"} <= set(resources.get("requests", {})):
        yield "the pod requests no CPU or no memory, so it is the first to be evicted"
    if set(resources.get("limits", {})) != {"memory"}:
        yield "there should be a limit on memory, and none on CPU"


@rule
def the_image_is_the_one_that_is_built(world):
    image, container, pod = world.image, world.container, world.pod.get("securityContext", {})
    if f"{pod.get('runAsUser')}:{pod.get('runAsGroup')}" != image.user:
        yield f"the pod runs as {pod.get('runAsUser')}:{pod.get('runAsGroup')}, the image as {image.user}"
    if set(world.ports.values()) != image.ports:
        yield f"the container has ports {sorted(world.ports.values())}, the image {sorted(image.ports)}"
    if "command" in container or container.get("args") != image.command:
        yield f"the container runs {container.get('command')} {container.get('args')}, the image {image.command}"
    data_dir = world.environment(0)["WEIR_DATA_DIR"]
    if image.volumes != [data_dir]:
        yield f"WEIR_DATA_DIR is {data_dir}, the image's volumes are {image.volumes}"
    for key, value in image.environment.items():
        if world.environment(0).get(key) != value:
            yield f"{key} is {world.environment(0).get(key)}, in the image it is {value}"
    if not container["image"].endswith(f":{image.version}"):
        yield f"the image is {container['image']}, and the workspace's version is {image.version}"
