"""What counts the models of a configuration at the start: nothing is counted yet."""

from ml_exporter.counting import Counting, Timing
from ml_exporter.loading import Loaded, maturity_seconds
from ml_exporter.segments import plan


def countings_of(loaded: Loaded) -> dict[str, Counting]:
    """An empty counting for each model."""
    countings: dict[str, Counting] = {}
    for name, model in loaded.config.models.items():
        source = loaded.config.sources[model.predictions.source]
        timing = Timing.of(model, loaded.config.time, source, maturity_seconds(loaded, name))
        baseline = loaded.baselines[name]
        bys = plan(model, baseline.segments)
        counting = countings[name] = Counting(baseline.layout, timing, model.labels is not None, bys=bys)
        if model.labels:
            counting.set_rules(model.labels.corrections, model.labels.max_pending)
    return countings
