// Latency: the share of predictions that miss the agreement pages, the 99th percentile warns.
local alert = import 'lib/alert.libsonnet';
local level = import 'lib/level.libsonnet';
local threshold = import 'lib/threshold.libsonnet';

{
  prometheusRules+:: {
    groups+: [
      alert.group($._config, 'ml-latency.rules', [
        level.level($._config, 'ml_window_latency_over_limit_ratio'),
        level.level($._config, 'ml_window_latency_seconds'),
      ]),
    ],
  },

  prometheusAlerts+:: {
    groups+: [
      alert.group(
        $._config,
        'ml-latency.alerts',
        threshold.rules($._config, ['window_latency_over_limit_ratio', 'window_latency_seconds'])
        + [
          alert.model(
            $._config,
            'MLLatencyOverLimit',
            severity='critical',
            layer='outcome',
            family='latency',
            expr=threshold.outcome(
              'ml:window_latency_over_limit_ratio', '>', 'window_latency_over_limit_ratio', '1h', 'critical', short='5m', enough='ml:window_rows:enough'
            ),
            summary='Too many predictions are slower than agreed.',
            description='{{ $value | humanizePercentage }} of the predictions of model {{ $labels.model }} in the last hour were slower than its latency limit; '
                        + threshold.shown('window_latency_over_limit_ratio', '1h', 'critical')
                        + ' may be. First see whether traffic rose or a version was deployed at the time when the share rose.',
          ),
          alert.model(
            $._config,
            'MLLatencyQuantileHigh',
            severity='warning',
            layer='outcome',
            family='latency',
            expr=threshold.compare('ml:window_latency_seconds{q="0.99",window="1h"}', '>', 'window_latency_seconds', '1h', 'warning')
                 + 'and on (model, window)\n  ml:window_rows:enough',
            summary='The slowest predictions of a model take too long.',
            description='One prediction in a hundred of model {{ $labels.model }} took longer than {{ $value | humanizeDuration }} in the last hour; the limit is '
                        + threshold.shown('window_latency_seconds', '1h', 'warning')
                        + '. First compare the median: if it moved too, everything is slow; if not, look for single slow look-ups.',
          ),
        ]
      ),
    ],
  },
}
