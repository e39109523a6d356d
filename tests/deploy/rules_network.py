"""Rules on names, labels, services and who may connect."""

from world import rule


def is_subset(selector, labels):
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def match_labels(selector):
    """The labels of a selector; None when it has expressions, which these rules do not follow."""
    return None if selector.get("matchExpressions") else selector.get("matchLabels", {})


def duplicates(names):
    names = list(names)
    return sorted({str(name) for name in names if names.count(name) > 1})


@rule
def names_are_unique(world):
    keys = [(item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]) for item in world.objects]
    for name in duplicates(keys):
        yield f"two objects are {name}"
    container = world.container
    lists = {
        "containers": [item["name"] for item in world.pod["containers"]],
        "port names": [port["name"] for port in container["ports"]],
        "port numbers": [port["containerPort"] for port in container["ports"]],
        "variables": [entry["name"] for entry in container["env"]] + list(world.shared_environment),
        "mounts": [mount["mountPath"] for mount in container["volumeMounts"]],
        "volumes": [item["name"] for item in world.pod.get("volumes", [])]
        + [claim["metadata"]["name"] for claim in world.workload["spec"]["volumeClaimTemplates"]],
    }
    for service in world.all("Service"):
        lists[f"ports of service {service['metadata']['name']}"] = [port["name"] for port in service["spec"]["ports"]]
    for what, names in lists.items():
        for name in duplicates(names):
            yield f"{what}: {name} is there twice"


@rule
def everything_is_in_one_namespace(world):
    for item in world.objects:
        if item["kind"] == "Namespace":
            yield "a Namespace is part of the overlay: `kubectl delete -k` would delete the volumes with it"
        elif item["metadata"].get("namespace") != world.namespace:
            yield f"{item['kind']} {item['metadata']['name']} is not in namespace {world.namespace}"


@rule
def selectors_select_the_pods(world):
    selectors = {"StatefulSet": match_labels(world.workload["spec"]["selector"])}
    for service in world.all("Service"):
        selectors[f"Service {service['metadata']['name']}"] = service["spec"].get("selector")
    for kind, key in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
        for item in world.all(kind):
            selectors[f"{kind} {item['metadata']['name']}"] = match_labels(item["spec"][key])
    for index, term in enumerate(anti_affinity(world)):
        selectors[f"anti-affinity term {index}"] = match_labels(term["labelSelector"])
    for index, constraint in enumerate(world.pod.get("topologySpreadConstraints", [])):
        selectors[f"topology spread {index}"] = match_labels(constraint["labelSelector"])
    for what, selector in selectors.items():
        if not is_subset(selector, world.labels):
            yield f"{what} selects {selector}, and the pods are labelled {world.labels}"


def anti_affinity(world):
    affinity = world.pod.get("affinity", {}).get("podAntiAffinity", {})
    return affinity.get("requiredDuringSchedulingIgnoredDuringExecution", [])


@rule
def service_ports_are_container_ports(world):
    for service in world.all("Service"):
        for port in service["spec"]["ports"]:
            where = f"service {service['metadata']['name']}, port {port['name']}"
            number = world.ports.get(port.get("targetPort"))
            if number is None:
                yield f"{where}: its target {port.get('targetPort')} is no named port of the container"
            elif number != port["port"]:
                yield f"{where}: it is {port['port']}, and the container's port is {number}"


@rule
def clients_have_a_service(world):
    services = [item for item in world.all("Service") if item["spec"].get("clusterIP") != "None"]
    if len(services) != 1:
        yield f"there should be one service for clients, not {len(services)}"
    for service in services:
        if [port.get("targetPort") for port in service["spec"]["ports"]] != ["clients"]:
            yield f"service {service['metadata']['name']} should lead to the clients' port and to no other"
        if service["spec"].get("publishNotReadyAddresses"):
            yield f"service {service['metadata']['name']} sends clients to nodes that are not ready"


@rule
def the_headless_service_names_the_nodes(world):
    name = world.workload["spec"].get("serviceName")
    service = world.named("Service", name)
    if service is None:
        yield f"serviceName {name} is no service of the overlay"
        return
    if service["spec"].get("clusterIP") != "None":
        yield f"service {name} is not headless, so the nodes have no names of their own"
    if service["spec"].get("publishNotReadyAddresses") is not True:
        yield f"service {name} hides nodes that are not ready, so a new cluster cannot form"


@rule
def only_nodes_reach_the_inner_ports(world):
    policies = world.all("NetworkPolicy")
    if len(policies) != 1:
        yield f"there should be one NetworkPolicy, not {len(policies)}"
        return
    spec = policies[0]["spec"]
    if spec.get("policyTypes") != ["Ingress"]:
        yield "the NetworkPolicy should govern ingress and nothing else"
    open_ports, inner_ports = [], []
    for entry in spec.get("ingress", []):
        names = [port.get("port") for port in entry.get("ports", [])]
        if not names:
            yield "the NetworkPolicy opens every port"
        sources = entry.get("from", [])
        (inner_ports if sources else open_ports).extend(names)
        for source in sources:
            if list(source) != ["podSelector"] or not is_subset(match_labels(source["podSelector"]), world.labels):
                yield f"the NetworkPolicy lets {source} in, which are not the nodes"
    if open_ports != ["clients"]:
        yield f"open to everybody is {open_ports}, and should be the clients' port alone"
    if sorted(inner_ports) != ["admin", "peers"]:
        yield f"open to nodes is {inner_ports}, and should be admin and peers"
    for name in {*open_ports, *inner_ports} - set(world.ports):
        yield f"the NetworkPolicy names port {name}, which the container does not have"
