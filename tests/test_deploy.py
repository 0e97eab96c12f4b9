"""The examples of deployment: manifests and a unit whose configuration, commands, ports and names fit together."""

import configparser
import re
import shlex
from pathlib import Path

import click
import yaml

from ml_exporter import cli, config, documents

FOLDER = Path(__file__).parents[1] / "examples" / "02-deploy"
ROOT = FOLDER.parents[1]


def manifests(name):
    return {item["kind"]: item for item in yaml.safe_load_all((FOLDER / name).read_text())}


def parsed(words):
    """The options of a command line of ml-exporter; fails where it is none."""
    group = click.Context(cli.cli, **cli.cli.context_settings)  # a command keeps the help option of its first context
    return documents.named(cli.cli)[words[0]].make_context(words[0], list(words[1:]), parent=group).params


def test_the_configuration_is_one_and_the_one_of_the_quick_start():
    text = manifests("kubernetes.yaml")["ConfigMap"]["data"]["ml-exporter.yaml"]
    found = config.parse(text)
    page = (ROOT / "docs" / "quick-start.md").read_text("utf-8")
    (shown,) = re.findall(r"```yaml\n# ml-exporter.yaml\n(.*?)```", page, re.DOTALL)
    assert found.models == config.parse(shown).models


def test_the_stateful_set_fits_its_configuration_and_its_service():
    found = manifests("kubernetes.yaml")
    spec = found["StatefulSet"]["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["replicas"] == 1
    assert spec["selector"]["matchLabels"] == labels == found["Service"]["spec"]["selector"]
    assert spec["serviceName"] == found["Service"]["metadata"]["name"]
    assert container["command"] == ["ml-exporter"]
    options = parsed(container["args"])
    mounts = {item["mountPath"] for item in container["volumeMounts"]}
    settings = config.parse(found["ConfigMap"]["data"]["ml-exporter.yaml"])
    assert {str(options["path"]), settings.state} <= mounts
    assert {str(options["path"].parent / item.baseline) for item in settings.models.values()} <= mounts
    volumes = [item["name"] for item in pod["volumes"]] + [
        item["metadata"]["name"] for item in spec["volumeClaimTemplates"]
    ]
    assert {item["name"] for item in container["volumeMounts"]} == set(volumes)
    assert container["ports"] == [{"name": "http", "containerPort": 9846}]
    assert found["Service"]["spec"]["ports"][0]["port"] == 9846
    probes = [container[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")]
    assert [item["path"] for item in probes] == ["/-/healthy", "/-/ready", "/-/healthy"]


def test_the_pod_monitor_scrapes_that_pod_under_the_name_that_the_rules_know():
    monitor = manifests("operator.yaml")["PodMonitor"]["spec"]
    pod = manifests("kubernetes.yaml")["StatefulSet"]["spec"]["template"]
    assert monitor["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    (endpoint,) = monitor["podMetricsEndpoints"]
    assert endpoint["port"] == pod["spec"]["containers"][0]["ports"][0]["name"]
    job = re.search(r"^ +job: '(.+)',$", (ROOT / "rules" / "config.libsonnet").read_text(), re.MULTILINE)[1]
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": job}]


def test_the_unit_runs_commands_that_exist():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(FOLDER / "ml-exporter.service")
    service = unit["Service"]
    for name, command in (("ExecStartPre", "check"), ("ExecStart", "serve")):
        words = shlex.split(service[name])
        assert words[0] == "/opt/ml-exporter/bin/ml-exporter"
        assert words[1] == command
        assert str(parsed(words[1:])["path"]) == "/etc/ml-exporter/ml-exporter.yaml"
    assert service["StateDirectory"] == "ml-exporter"
