"""Links from a page to what Grafana and Prometheus show of the same, where the configuration says where they are."""

from dataclasses import dataclass
from urllib.parse import urlencode

from .runbooks import promql


@dataclass(frozen=True)
class Outside:
    """Where people open them: http or https URLs, None where it is not said."""

    grafana: str | None = None
    prometheus: str | None = None

    def links(self, dashboard: str, series: str, **names: str) -> tuple[tuple[str, str], ...]:
        """Texts and addresses: of a dashboard by its uid and of a metric, both of the model and feature in `names`.

        >>> for text, url in Outside("https://g/", "https://p").links("ml-model", "ml_accuracy", model='a"&b'):
        ...     print(text, url)
        Grafana https://g/d/ml-model?from=now-24h&to=now&var-model=a%22%26b
        Prometheus https://p/graph?g0.expr=ml_accuracy%7Bmodel%3D%22a%5C%22%26b%22%7D&g0.tab=0&g0.range_input=1d
        """
        found = []
        if self.grafana:
            query = {"from": "now-24h", "to": "now"} | {f"var-{key}": name for key, name in names.items()}
            found.append(("Grafana", f"{self.grafana.rstrip('/')}/d/{dashboard}?{_query(query)}"))
        if self.prometheus:
            selector = ",".join(f'{key}="{promql(name)}"' for key, name in names.items())
            query = {"g0.expr": f"{series}{{{selector}}}", "g0.tab": "0", "g0.range_input": "1d"}
            found.append(("Prometheus", f"{self.prometheus.rstrip('/')}/graph?{_query(query)}"))
        return tuple(found)


NOWHERE = Outside()
"""Where the configuration says nothing."""


def _query(pairs: dict[str, str]) -> str:
    return urlencode(pairs, errors="replace")
