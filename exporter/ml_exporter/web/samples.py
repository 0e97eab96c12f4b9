"""The samples of one metric, out of the text that `/metrics` serves."""

from collections.abc import Iterator, Mapping

from prometheus_client.parser import text_string_to_metric_families

MOST_LINES = 1000
"""How many samples of one metric are read."""


def samples(exposition: bytes, metric: str, model: str = "") -> list[tuple[Mapping[str, str], float]]:
    r"""Labels and values of a metric, of one model if it is named, in the order of the text.

    >>> text = b'# TYPE a gauge\na{model="m",b="c"} 1.0\na{model="n"} 2.0\n# TYPE ab gauge\nab 3.0\n'
    >>> samples(text, "a"), samples(text, "a", "m"), samples(text, "ab"), samples(text, "b")
    ([({'model': 'm', 'b': 'c'}, 1.0), ({'model': 'n'}, 2.0)], [({'b': 'c'}, 1.0)], [({}, 3.0)], [])
    """
    text = b"".join(_lines(exposition, metric.encode())).decode()
    found = [item for family in text_string_to_metric_families(text) for item in family.samples]
    wanted = [item for item in found if not model or item.labels.get("model") == model]
    return [
        ({key: text for key, text in item.labels.items() if key != "model" or not model}, item.value) for item in wanted
    ]


def _lines(exposition: bytes, metric: bytes) -> Iterator[bytes]:
    """The lines of a metric: they follow each other, as the format demands."""
    starts = (b"\n" + metric + b"{", b"\n" + metric + b" ")
    place = max(exposition.find(start) for start in starts)
    for _ in range(MOST_LINES if place >= 0 else 0):
        end = exposition.find(b"\n", place + 1)
        yield exposition[place + 1 : end + 1]
        if end < 0 or not exposition.startswith(starts, end):
            return
        place = end
