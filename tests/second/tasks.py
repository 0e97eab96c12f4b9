"""The tasks, with every part of a second implementation; nothing of the package is imported."""

from collections.abc import Callable, Iterator

import pandas as pd
from tests.second import classes, estimates, numbers, shape, vitals
from tests.second.statistics import Json
from tests.second.vitals import Artefact, Found, Settings, Task

Part = Callable[[Artefact, Settings, str, pd.DataFrame], Iterator[Found]]


def _with(task: Task, read: shape.Read, part: Part) -> Task:
    def reference(document: Json) -> Iterator[Found]:
        yield from task.reference(document)
        yield from shape.of_reference(document)

    return task._replace(reference=reference, parts=(*task.parts, shape.part(read), part))


BINARY = _with(vitals.BINARY, shape.binary, estimates.found_of(estimates.BINARY_MODEL))
MULTICLASS = _with(classes.MULTICLASS, shape.classes, estimates.found_of(estimates.CLASS_MODEL))
REGRESSION = _with(numbers.REGRESSION, shape.numbers, estimates.of_numbers)
