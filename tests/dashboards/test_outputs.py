"""The forms in which Grafana takes the dashboards in: files, a provider for their folder, and ConfigMaps."""

import json
import re

import _jsonnet
import pytest
import rjsonnet
import yaml
from boards import BOARDS, OUT

from ml_exporter import generate, packed
from ml_exporter.generate import Settings

PACK = packed.pack_dir()
MIXIN = f"(import '{PACK}/rules/mixin.libsonnet')"
FORMS = "{ provider: pack.grafanaProvisioning, maps: pack.grafanaConfigMaps }"


@pytest.fixture(scope="module")
def by_jsonnet_alone():
    return json.loads(_jsonnet.evaluate_snippet("x", f"local pack = {MIXIN}; {FORMS}"))


def test_the_mixin_alone_gives_the_same_dashboards(by_jsonnet_alone):
    """The reference implementation of jsonnet, and the one that `generate` uses; no Python and no external variable."""
    assert by_jsonnet_alone == json.loads(rjsonnet.evaluate_snippet("x", f"local pack = {MIXIN}; {FORMS}"))
    held = dict(item for found in by_jsonnet_alone["maps"].values() for item in found["data"].items())
    assert {name.removesuffix(".json"): json.loads(text) for name, text in held.items()} == BOARDS


def test_the_provider_loads_the_folder_of_the_files():
    (provider,) = yaml.safe_load((OUT / "provisioning" / "ml-exporter.yaml").read_text())["providers"]
    assert (provider["type"], provider["folder"], provider["name"]) == ("file", "ML", "ml-exporter")
    assert (provider["allowUiUpdates"], provider["disableDeletion"]) == (False, False)
    assert provider["options"]["path"].startswith("/")
    assert not list((OUT / "provisioning").glob("*.json")), "a provider would load them"


@pytest.mark.parametrize("name", BOARDS)
def test_config_map(name):
    text = (OUT / "kubernetes" / f"{name}.yaml").read_text()
    found = yaml.safe_load(text)
    assert (found["apiVersion"], found["kind"]) == ("v1", "ConfigMap")
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,251}[a-z0-9])?", found["metadata"]["name"])
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert found["metadata"]["annotations"] == {"grafana_folder": "ML"}
    ((file, content),) = found["data"].items()
    assert file == f"{name}.json"
    assert json.loads(content) == BOARDS[name]
    # `kubectl apply` keeps the object as JSON in an annotation, and annotations together have 256 KiB.
    assert len(json.dumps(found)) < 200 * 1024


def test_config_maps_have_the_namespace_of_the_operator_only_where_there_is_one(by_jsonnet_alone):
    assert all("namespace" not in item["metadata"] for item in by_jsonnet_alone["maps"].values())
    files = generate.render(PACK, Settings(operator_namespace="observability", grafana_folder="Models"))
    for name in BOARDS:
        found = yaml.safe_load(files[f"dashboards/kubernetes/{name}.yaml"])["metadata"]
        assert (found["namespace"], found["annotations"]["grafana_folder"]) == ("observability", "Models")
    assert "folder: Models" in files["dashboards/provisioning/ml-exporter.yaml"]


def test_orphans_are_found_in_every_folder_below_out(tmp_path):
    files = {name: text for name, text in generate.render_committed(PACK).items() if name.startswith("dashboards/")}
    assert len(files) == 2 * len(BOARDS) + 1
    generate.write(tmp_path, files)
    old = [tmp_path / "dashboards/out" / name for name in ("old.json", "kubernetes/old.yaml", "provisioning/old.yaml")]
    for path in old:
        path.touch()
    assert sorted(generate.check(tmp_path, files)) == sorted(str(path.relative_to(tmp_path)) for path in old)


def test_the_pages_of_the_exporter_are_linked_where_its_address_is_known(by_jsonnet_alone):
    """What Grafana cannot show: the histogram of a feature beside that of the reference."""
    page = "https://ml.test/models?model=${model:percentencode}"
    text = rjsonnet.evaluate_snippet(
        "x", f"({MIXIN} + {{ _config+:: {{ exporterURL: 'https://ml.test/' }} }}).grafanaDashboards"
    )
    boards = json.loads(text)
    for name in ("ml-model", "ml-features", "ml-labels", "ml-latency"):
        (link,) = [item for item in boards[f"{name}.json"]["links"] if item["title"] == "Page of the exporter"]
        assert link["url"].startswith(page)
    assert f"{page}&feature=${{__data.fields.feature:percentencode}}" in json.dumps(boards["ml-features.json"])
    assert page not in json.dumps(by_jsonnet_alone["maps"])
