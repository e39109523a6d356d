"""Whether Prometheus and Grafana can read what is there for them. That the metrics exist is a test of the program's."""

import json

import yaml


def broken(folder):
    """A sentence for each thing that is wrong."""
    rules = yaml.safe_load((folder / "alerts.yaml").read_text())["groups"][0]["rules"]
    names = [rule["alert"] for rule in rules]
    if len(set(names)) < len(names):
        yield "alerts.yaml: two alerts have one name"
    for rule in rules:
        if not rule.get("expr") or "summary" not in rule.get("annotations", {}):
            yield f"alerts.yaml: {rule['alert']} has no expression, or does not say what is wrong"
        if rule.get("labels", {}).get("severity") not in ("warning", "critical"):
            yield f"alerts.yaml: {rule['alert']} is neither a warning nor critical"
    panels = json.loads((folder / "dashboard.json").read_text())["panels"]
    for key in ("id", "title"):
        if len({panel[key] for panel in panels}) < len(panels):
            yield f"dashboard.json: two panels have one {key}"
    for panel in panels:
        if not panel["targets"] or not all(target["expr"] for target in panel["targets"]):
            yield f"dashboard.json: {panel['title']} shows nothing"
