"""Which values of a feature are out of the ordinary: names from the log, shown only where that is allowed."""

from collections.abc import Mapping

from ml_exporter.facts.answers import LastValue, LastValues, SeenValue, SeenValues
from ml_exporter.frequent import CHARACTERS, PLACES, Frequent

SHOWN = 20
ALLOW = "They may be personal and are not shown. `web: {samples: true}` in the configuration allows it."
SINCE = (
    f"Up to {PLACES} are counted, since the exporter started or its configuration was changed, and forgotten when no "
    f"row came for a day. These are the {SHOWN} most frequent, cut to {CHARACTERS} characters."
)
EXAMPLES = (
    "Examples from each batch that was read, the last different ones since the exporter started or its configuration "
    "was changed, forgotten after a day."
)


def seen_values(kept: Frequent | None, samples: bool) -> SeenValues:
    """The most frequent of the texts that were noted of a feature."""
    named = kept.named(PLACES) if kept else ()
    values = (
        SeenValue(item.text, item.rows, item.missed, item.first_us / 1e6, item.last_us / 1e6) for item in named[:SHOWN]
    )
    return SeenValues(samples, len(named), tuple(values) if samples else (), SINCE if samples else ALLOW)


def last_values(kept: Mapping[str, int], samples: bool) -> LastValues:
    """The texts that were read last in place of numbers."""
    values = (LastValue(text, time_us / 1e6) for text, time_us in reversed(list(kept.items())))
    return LastValues(samples, len(kept), tuple(values) if samples else (), EXAMPLES if samples else ALLOW)
