"""The binner gives what `numpy.searchsorted` gives, for every value a log can hold."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ml_exporter.statistics.binner import make_binner

Floats = npt.NDArray[np.float64]

SMALLEST = 5e-324
EDGES = {
    "none": [],
    "one": [0.5],
    "zero as an atom": [0.0, SMALLEST],
    "minus zero": [-0.0],
    "both sides of zero": [-SMALLEST, 0.0, SMALLEST],
    "tiny, of both signs": [-1e-300, -1e-310, 1e-310, 1e-300],
    "atoms": [1.0, np.nextafter(1.0, 2.0), 2.0, np.nextafter(2.0, 3.0)],
    "negative": [-3.0, -2.0, -1.0],
    "neighbours": [np.nextafter(0.1, 0.0), 0.1, np.nextafter(0.1, 1.0)],
    "huge": [-1.7e308, -1e300, 1e300, 1.7e308],
    "beyond float32": [3.4028234e38, 3.4028235e38, 3.5e38],
    "many in one cell": (1.0 + np.arange(1, 200) * 1e-9).tolist(),
    "many": np.linspace(-5.0, 5.0, 2001).tolist(),
}


def expected(edges: Floats, x: Floats) -> list[int]:
    found = np.searchsorted(edges, x, side="right")
    found[np.isnan(x)] = len(edges) + 1
    found[np.isinf(x)] = len(edges) + 2
    return found.tolist()


def around(edges: Floats) -> Floats:
    """Every edge with its neighbours, their negatives, their float32 neighbours, and what is special anyway."""
    special = [
        0.0,
        -0.0,
        SMALLEST,
        -SMALLEST,
        2.2e-308,
        1e-45,
        -1e-45,
        1e-38,
        1e300,
        -1e300,
        1.7e308,
        np.inf,
        -np.inf,
        np.nan,
        -np.nan,
    ]
    with np.errstate(over="ignore"):
        single = edges.astype(np.float32)
        close = [
            edges,
            -edges,
            np.nextafter(edges, -np.inf),
            np.nextafter(edges, np.inf),
            edges * (1 + 1e-7),
            edges * (1 - 1e-7),
        ]
        steps = [np.nextafter(single, np.float32(np.inf)), np.nextafter(single, np.float32(-np.inf)), single]
        return np.concatenate([special, *close, *steps]).astype(np.float64)


@pytest.mark.parametrize("edges", EDGES.values(), ids=EDGES)
def test_equals_searchsorted_around_edges(edges: list[float]) -> None:
    inner = np.array(edges, np.float64)
    x = around(inner)
    assert make_binner(inner, inner).codes(x, x).tolist() == expected(inner, x)


@pytest.mark.parametrize(
    ("centre", "scale"), [(0.0, 1.0), (1.0, 1e-12), (-7.5, 3e5), (1e308, 1.0), (0.0, 1e300), (1.0, 1e-300)]
)
@pytest.mark.parametrize("edges", EDGES.values(), ids=EDGES)
def test_keys_may_be_any_increasing_function(edges: list[float], centre: float, scale: float) -> None:
    inner = np.array(edges, np.float64)
    x = around(inner)
    with np.errstate(over="ignore", invalid="ignore"):
        binner = make_binner(inner, (inner - centre) / scale)
        codes = binner.codes(x, (x - centre) / scale)
    assert codes.tolist() == expected(inner, x)


def test_codes_of_what_is_no_number() -> None:
    binner = make_binner(np.array([1.0]), np.array([1.0]))
    x = np.array([np.nan, np.inf, -np.inf])
    assert (binner.null, binner.invalid, binner.width) == (2, 3, 4)
    assert binner.codes(x, x).tolist() == [2, 3, 3]


def test_no_rows_give_no_codes() -> None:
    empty = np.zeros(0)
    assert make_binner(np.array([1.0]), np.array([1.0])).codes(empty, empty).tolist() == []


def test_a_view_with_steps_is_read_as_it_is() -> None:
    x = np.arange(20.0)[::3]
    inner = np.array([4.0, 11.0])
    assert make_binner(inner, inner).codes(x, x).tolist() == expected(inner, x)


floats = st.floats(allow_nan=True, allow_infinity=True)
finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(finite, max_size=20, unique_by=lambda x: x + 0.0), st.lists(floats, max_size=50))
@example([0.0], [-0.0])
@example([-0.0], [0.0])
def test_equals_searchsorted(edges: list[float], values: list[float]) -> None:
    inner = np.sort(np.array(edges, np.float64))
    x = np.array([*values, *edges], np.float64)
    assert make_binner(inner, inner).codes(x, x).tolist() == expected(inner, x)


@given(finite, st.integers(-3, 3), st.floats(1e-6, 1e6), st.floats(-1e6, 1e6))
def test_equals_searchsorted_a_few_ulps_from_an_edge(edge: float, ulps: int, scale: float, centre: float) -> None:
    x = np.array([edge])
    for _ in range(abs(ulps)):
        with np.errstate(over="ignore"):
            x = np.nextafter(x, np.copysign(np.inf, ulps))
    inner = np.array([edge])
    with np.errstate(over="ignore"):
        binner = make_binner(inner, (inner - centre) / scale)
        codes = binner.codes(x, (x - centre) / scale)
    assert codes.tolist() == expected(inner, x)
