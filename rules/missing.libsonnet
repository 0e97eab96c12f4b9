// A signal of a model that has no threshold. It reads what the groups of all other alerts record, so it comes after them.
local alert = import 'lib/alert.libsonnet';

{
  prometheusAlerts+:: {
    groups+: [
      alert.group($._config, 'ml-thresholds.alerts', [
        alert.model(
          $._config,
          'MLThresholdMissing',
          severity='warning',
          layer='freshness',
          family='thresholds',
          expr='ml:threshold:missing > 0',
          summary='A signal of a model has no threshold, so its alert cannot fire.',
          description='Model {{ $labels.model }} has {{ $value }} series of {{ $labels.signal }} without a value for their limit ({{ $labels.limit }}). '
                      + 'First agree with the owner of the model on what is bad, and write it into the thresholds; `none` there says that there is no limit on purpose.',
        ),
      ]),
    ],
  },
}
