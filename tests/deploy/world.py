"""What the rules look at: the objects of one overlay, the facts of the Dockerfile, and questions about both."""

import re
from dataclasses import dataclass, field


@dataclass
class World:
    """One rendered overlay beside the image that it runs."""

    objects: list
    image: "Image"

    def all(self, kind):
        return [item for item in self.objects if item["kind"] == kind]

    def named(self, kind, name):
        found = [item for item in self.all(kind) if item["metadata"]["name"] == name]
        return found[0] if found else None

    @property
    def workload(self):
        return self.all("StatefulSet")[0]

    @property
    def name(self):
        return self.workload["metadata"]["name"]

    @property
    def namespace(self):
        return self.workload["metadata"]["namespace"]

    @property
    def replicas(self):
        return self.workload["spec"].get("replicas", 1)

    @property
    def template(self):
        return self.workload["spec"]["template"]

    @property
    def pod(self):
        return self.template["spec"]

    @property
    def labels(self):
        return self.template["metadata"].get("labels", {})

    @property
    def container(self):
        return self.pod["containers"][0]

    @property
    def ports(self):
        """The container's ports by name."""
        return {port.get("name"): port["containerPort"] for port in self.container.get("ports", [])}

    @property
    def shared_environment(self):
        """What comes from ConfigMaps as a whole."""
        merged = {}
        for source in self.container.get("envFrom", []):
            config = self.named("ConfigMap", source.get("configMapRef", {}).get("name"))
            merged.update(config["data"] if config else {})
        return merged

    def environment(self, ordinal):
        """The variables of one pod, as the kubelet would set them. A zone stands in for the machine's label."""
        fields = {"metadata.name": f"{self.name}-{ordinal}", "metadata.namespace": self.namespace}
        own = {}
        for entry in self.container.get("env", []):
            if "value" in entry:
                own[entry["name"]] = re.sub(r"\$\((\w+)\)", lambda found: own.get(found[1], found[0]), entry["value"])
            else:
                path = entry.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath", "")
                own[entry["name"]] = fields.get(path, f"zone-{ordinal}" if "topology" in path else "")
        return self.shared_environment | own


@dataclass
class Image:
    """What the Dockerfile's last stage says."""

    user: str = ""
    entrypoint: list = field(default_factory=list)
    command: list = field(default_factory=list)
    ports: set = field(default_factory=set)
    volumes: list = field(default_factory=list)
    environment: dict = field(default_factory=dict)
    version: str = ""


RULES = []


def rule(check):
    """Marks a check of a World: it yields a sentence for each thing that is wrong."""
    RULES.append(check)
    return check


def broken(world):
    """Every broken rule: (its name, the sentence).

    A rule that cannot be applied goes by another name, so it does not count as having noticed what it is for.
    """
    found = []
    for check in RULES:
        try:
            found += [(check.__name__, sentence) for sentence in check(world)]
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            found.append((f"{check.__name__} cannot be applied", repr(error)))
    return found
