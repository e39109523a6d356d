"""Negative controls: what is broken on purpose, and the rule that must notice.

Each is (what was broken, the rule's name, how). The three-node overlay is broken in a copy of its own each time.
"""

import copy


def put(node, key, value):
    """Changes what is there."""
    assert node[key] != value, f"{key} is {value} already"
    node[key] = value


def new(node, key, value):
    """Adds what is not there."""
    assert key not in node, f"{key} is there already"
    node[key] = value


def drop(world, kind, name):
    world.objects.remove(world.named(kind, name))


def config(world):
    return world.all("ConfigMap")[0]["data"]


def service(world, name="weir"):
    return world.named("Service", name)["spec"]


def variable(world, name):
    return next(entry for entry in world.container["env"] if entry["name"] == name)


def missing_key(world):
    return {"configMapKeyRef": {"name": world.all("ConfigMap")[0]["metadata"]["name"], "key": "ZONE"}}


def anti_affinity_labels(world):
    terms = world.pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return terms[0]["labelSelector"]["matchLabels"]


def list_otherwise(world, node, otherwise):
    put(config(world), "WEIR_NODES", config(world)["WEIR_NODES"].replace(node, otherwise))


def policy(world):
    return world.all("NetworkPolicy")[0]["spec"]


def budget(world):
    return world.all("PodDisruptionBudget")[0]["spec"]


APP = "app.kubernetes.io/name"

NETWORK = [
    ("a service twice", "names_are_unique", lambda w: w.objects.append(copy.deepcopy(w.all("Service")[0]))),
    ("a port name twice", "names_are_unique", lambda w: put(w.container["ports"][1], "name", "clients")),
    ("a key in the ConfigMap and in env", "names_are_unique", lambda w: new(config(w), "WEIR_ZONE", "a")),
    (
        "a service elsewhere",
        "everything_is_in_one_namespace",
        lambda w: put(w.all("Service")[0]["metadata"], "namespace", "default"),
    ),
    (
        "a Namespace in it",
        "everything_is_in_one_namespace",
        lambda w: w.objects.append({"kind": "Namespace", "metadata": {"name": "weir"}}),
    ),
    ("pods labelled otherwise", "selectors_select_the_pods", lambda w: put(w.labels, APP, "wier")),
    (
        "the clients' service selects nothing",
        "selectors_select_the_pods",
        lambda w: put(service(w)["selector"], APP, "wier"),
    ),
    (
        "the headless service selects nothing",
        "selectors_select_the_pods",
        lambda w: put(service(w, "weir-peers")["selector"], APP, "wier"),
    ),
    ("anti-affinity to others", "selectors_select_the_pods", lambda w: put(anti_affinity_labels(w), APP, "wier")),
    (
        "a service port to nowhere",
        "service_ports_are_container_ports",
        lambda w: put(service(w)["ports"][0], "targetPort", "http"),
    ),
    (
        "a service port of another number",
        "service_ports_are_container_ports",
        lambda w: put(service(w, "weir-peers")["ports"][0], "port", 4438),
    ),
    (
        "the admin port offered to clients",
        "clients_have_a_service",
        lambda w: service(w)["ports"].append({"name": "admin", "port": 4439, "targetPort": "admin"}),
    ),
    (
        "clients sent to nodes that recover",
        "clients_have_a_service",
        lambda w: new(service(w), "publishNotReadyAddresses", True),
    ),
    (
        "serviceName of no service",
        "the_headless_service_names_the_nodes",
        lambda w: put(w.workload["spec"], "serviceName", "weir-nodes"),
    ),
    (
        "serviceName of the clients' service",
        "the_headless_service_names_the_nodes",
        lambda w: put(w.workload["spec"], "serviceName", "weir"),
    ),
    (
        "unready nodes hidden from their peers",
        "the_headless_service_names_the_nodes",
        lambda w: put(service(w, "weir-peers"), "publishNotReadyAddresses", False),
    ),
    ("no NetworkPolicy", "only_nodes_reach_the_inner_ports", lambda w: drop(w, "NetworkPolicy", "weir")),
    (
        "everybody reaches the admin port",
        "only_nodes_reach_the_inner_ports",
        lambda w: policy(w)["ingress"][0]["ports"].append({"port": "admin"}),
    ),
    (
        "other pods reach the peers' port",
        "only_nodes_reach_the_inner_ports",
        lambda w: put(policy(w)["ingress"][1]["from"][0], "podSelector", {}),
    ),
]

WORKLOAD = [
    ("no disruption budget", "a_majority_survives_a_disruption", lambda w: drop(w, "PodDisruptionBudget", "weir")),
    (
        "a budget for other pods",
        "a_majority_survives_a_disruption",
        lambda w: put(budget(w)["selector"]["matchLabels"], APP, "wier"),
    ),
    ("a budget of two of three", "a_majority_survives_a_disruption", lambda w: put(budget(w), "maxUnavailable", 2)),
    ("two nodes", "a_majority_survives_a_disruption", lambda w: put(w.workload["spec"], "replicas", 2)),
    ("more nodes than are listed", "nodes_find_each_other_by_name", lambda w: put(w.workload["spec"], "replicas", 5)),
    (
        "a node listed under a name that is not in DNS",
        "nodes_find_each_other_by_name",
        lambda w: list_otherwise(w, "weir-1.weir-peers", "weir-1.weir"),
    ),
    (
        "a node listed with the clients' port",
        "nodes_find_each_other_by_name",
        lambda w: list_otherwise(w, "weir-2.weir-peers:4436", "weir-2.weir-peers:4437"),
    ),
    (
        "an address that is the same for all nodes",
        "nodes_find_each_other_by_name",
        lambda w: put(variable(w, "WEIR_PEER_ADVERTISE"), "value", "weir-peers:4436"),
    ),
    (
        "peers listen on another port",
        "ports_are_listened_on",
        lambda w: put(config(w), "WEIR_PEER_LISTEN", "0.0.0.0:4440"),
    ),
    (
        "the admin port on loopback",
        "ports_are_listened_on",
        lambda w: put(config(w), "WEIR_ADMIN_LISTEN", "127.0.0.1:4439"),
    ),
    (
        "envFrom of no ConfigMap",
        "the_environment_exists",
        lambda w: put(w.container["envFrom"][0]["configMapRef"], "name", "weir"),
    ),
    ("a variable used before it is set", "the_environment_exists", lambda w: w.container["env"].reverse()),
    (
        "a key that the ConfigMap does not have",
        "the_environment_exists",
        lambda w: put(variable(w, "WEIR_ZONE"), "valueFrom", missing_key(w)),
    ),
    ("service links", "the_environment_exists", lambda w: put(w.pod, "enableServiceLinks", True)),
    ("a mount of no volume", "data_is_on_a_claim", lambda w: put(w.container["volumeMounts"][0], "name", "date")),
    (
        "data beside the volume",
        "data_is_on_a_claim",
        lambda w: put(w.container["volumeMounts"][0], "mountPath", "/var/lib/weird"),
    ),
    (
        "volumes deleted on scaling",
        "data_is_on_a_claim",
        lambda w: put(w.workload["spec"]["persistentVolumeClaimRetentionPolicy"], "whenScaled", "Delete"),
    ),
    (
        "liveness asks for readiness",
        "probes_mean_what_they_say",
        lambda w: put(w.container["livenessProbe"]["httpGet"], "path", "/readyz"),
    ),
    (
        "start asks for readiness",
        "probes_mean_what_they_say",
        lambda w: put(w.container["startupProbe"]["httpGet"], "path", "/readyz"),
    ),
    (
        "a probe of a port that is not there",
        "probes_mean_what_they_say",
        lambda w: put(w.container["readinessProbe"]["httpGet"], "port", "health"),
    ),
    ("no readiness", "probes_mean_what_they_say", lambda w: w.container.pop("readinessProbe")),
    (
        "an impatient start",
        "probes_mean_what_they_say",
        lambda w: put(w.container["startupProbe"], "failureThreshold", 10),
    ),
    (
        "killed while it drains",
        "the_end_is_graceful_and_bounded",
        lambda w: put(w.pod, "terminationGracePeriodSeconds", 30),
    ),
    (
        "an end without bound",
        "the_end_is_graceful_and_bounded",
        lambda w: put(w.pod, "terminationGracePeriodSeconds", 86400),
    ),
    (
        "a preStop that needs a shell",
        "the_end_is_graceful_and_bounded",
        lambda w: put(w.container["lifecycle"], "preStop", {"exec": {"command": ["sleep", "5"]}}),
    ),
    (
        "one start after the other",
        "nodes_are_apart_and_start_together",
        lambda w: put(w.workload["spec"], "podManagementPolicy", "OrderedReady"),
    ),
    ("nodes on one machine", "nodes_are_apart_and_start_together", lambda w: w.pod.pop("affinity")),
    ("nodes in one zone", "nodes_are_apart_and_start_together", lambda w: w.pod.pop("topologySpreadConstraints")),
    (
        "root allowed",
        "the_pod_has_no_more_rights_than_it_needs",
        lambda w: put(w.pod["securityContext"], "runAsNonRoot", False),
    ),
    (
        "root in the container",
        "the_pod_has_no_more_rights_than_it_needs",
        lambda w: new(w.container["securityContext"], "runAsUser", 0),
    ),
    (
        "a root file system that can be written to",
        "the_pod_has_no_more_rights_than_it_needs",
        lambda w: w.container["securityContext"].pop("readOnlyRootFilesystem"),
    ),
    (
        "capabilities kept",
        "the_pod_has_no_more_rights_than_it_needs",
        lambda w: w.container["securityContext"].pop("capabilities"),
    ),
    (
        "no seccomp",
        "the_pod_has_no_more_rights_than_it_needs",
        lambda w: w.pod["securityContext"].pop("seccompProfile"),
    ),
    ("no service account", "the_pod_has_no_more_rights_than_it_needs", lambda w: drop(w, "ServiceAccount", "weir")),
    (
        "a limit on CPU",
        "memory_is_bounded_and_cpu_is_not",
        lambda w: new(w.container["resources"]["limits"], "cpu", "1"),
    ),
    (
        "another user than the image's",
        "the_image_is_the_one_that_is_built",
        lambda w: put(w.pod["securityContext"], "runAsUser", 1000),
    ),
    (
        "another port than the image's",
        "the_image_is_the_one_that_is_built",
        lambda w: put(w.container["ports"][0], "containerPort", 8080),
    ),
    ("another command", "the_image_is_the_one_that_is_built", lambda w: put(w.container, "args", ["dev"])),
    (
        "an image without a version",
        "the_image_is_the_one_that_is_built",
        lambda w: put(w.container, "image", "weir:latest"),
    ),
]

MANIFESTS = NETWORK + WORKLOAD

# What the schemas must refuse: (what was broken, how).
SCHEMA = [
    ("a field with a typing error", lambda w: new(w.pod, "terminationGracePeriodSecond", 60)),
    ("a field at the wrong place", lambda w: new(w.container, "seccompProfile", {"type": "RuntimeDefault"})),
    ("text for a number", lambda w: put(w.workload["spec"], "replicas", "three")),
    ("a field that is required", lambda w: w.workload["spec"].pop("selector")),
]

# Of the Dockerfile: (what was broken, a part of the text, what it becomes, a word of the complaint).
DOCKERFILE = [
    ("root", "USER 65532:65532", "USER root", "USER"),
    ("a user by name", "USER 65532:65532", "USER nonroot", "USER"),
    ("an image with a shell", "gcr.io/distroless/cc-debian13:nonroot", "debian:13", "distroless"),
    ("another C library", "cc-debian13", "cc-debian12", "two Debian releases"),
    ("an image without a C library", "distroless/cc-", "distroless/static-", "distroless"),
    ("a shell as process 1", 'ENTRYPOINT ["/usr/local/bin/weir"]', "ENTRYPOINT /usr/local/bin/weir", "ENTRYPOINT"),
    ("a program that is elsewhere", 'ENTRYPOINT ["/usr/local/bin/weir"]', 'ENTRYPOINT ["/weir"]', "ENTRYPOINT"),
    ("a volume that root owns", "--chown=65532:65532 ", "", "does not belong"),
    ("data beside the volume", "WEIR_DATA_DIR=/var/lib/weir", "WEIR_DATA_DIR=/data", "WEIR_DATA_DIR"),
    ("a build without the lock file", "--locked ", "", "--locked"),
    ("an old compiler", "rust:1.90-", "rust:1.80-", "needs 1."),
    ("a command in the last stage", 'CMD ["serve"]', 'RUN true\nCMD ["serve"]', "no shell"),
]

# Of what the build may see: (a line that is left out, a word of the complaint).
CONTEXT = [("!tests/checks\n", "cannot read the workspace"), ("!Cargo.lock\n", "Cargo.lock"), ("!src\n", "cannot read")]
