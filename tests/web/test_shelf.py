"""The list of runbooks: every alert of the pack stands in the layer of its rule, with what it says."""

import re
from pathlib import Path

import yaml

from ml_exporter.web.runbooks import read_runbooks
from ml_exporter.web.shelf import LAYERS, shelves

ROOT = Path(__file__).parents[2]


def test_every_alert_of_the_pack_stands_in_its_layer_with_its_severities_and_summary() -> None:
    rules = yaml.safe_load((ROOT / "rules/out/ml-exporter-alerts.yaml").read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    found = {
        book.name: (shelf.title, book)
        for shelf in shelves(read_runbooks(ROOT / "runbooks").values())
        for book in shelf.books
    }
    assert found.keys() == {rule["alert"] for rule in alerts}
    for rule in alerts:
        title, book = found[rule["alert"]]
        assert title == LAYERS[rule["labels"]["layer"]][0]
        assert rule["labels"]["severity"] in book.severities
        assert book.meaning == " ".join(rule["annotations"]["summary"].split())


def test_runbooks_that_were_written_by_hand_come_last_and_are_left_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "MLOwn.md").write_text("# MLOwn\n\nDo it.\n")
    (tmp_path / "MLStrange.md").write_text(
        "# MLStrange\n\n<!-- Layer unheard, severity critical. -->\n\n## Meaning\n\nA\nb.\n"
    )
    (tmp_path / "MLData.md").write_text(
        "# MLData\n\n<!-- Layer data, severity critical, warning. -->\n\n## Meaning\n\nIt is.\n\nMore.\n"
    )
    found = shelves(read_runbooks(tmp_path).values())
    assert [(shelf.title, [book.name for book in shelf.books]) for shelf in found] == [
        ("Data", ["MLData"]),
        ("Others", ["MLOwn", "MLStrange"]),
    ]
    assert found[0].books[0].meaning == "It is."
    assert found[0].books[0].severities == ("critical", "warning")
    assert [book.meaning for book in found[1].books] == ["", "A b."]
    assert not re.search("<!--", "".join(book.text for shelf in found for book in shelf.books))
