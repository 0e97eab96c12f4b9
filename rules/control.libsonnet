// Control limits: a day that lies outside what the days before led to expect. The limits are the exporter's, from its history, so there
// are no thresholds here; they exist only after fifty days or hours of history.
local alert = import 'lib/alert.libsonnet';
local comparison = import 'lib/comparison.libsonnet';
local level = import 'lib/level.libsonnet';
local threshold = import 'lib/threshold.libsonnet';

local limit(signal, bound) = 'ml:control_limit{signal="' + signal + '",bound="' + bound + '",window="1d"}';

local beyond(value, operator, signal, bound) =
  value + '\n' + operator + ' on (model, window) group_left ()\n  max by (model, window) (' + limit(signal, bound) + ')\n';

local bounds(signal, format) =
  threshold.value(limit(signal, 'lower'), ['model'], format) + ' to ' + threshold.value(limit(signal, 'upper'), ['model'], format);

local outside(config, name, layer, family, expr, enough, what, signal, format, summary, first) = alert.model(
  config,
  name,
  severity='warning',
  layer=layer,
  family=family,
  expr=expr + threshold.enough(enough) + comparison.settled,
  summary=summary,
  description=what + ' of model {{ $labels.model }} over the last day is {{ $value | ' + format + ' }}; expected from the days before: '
              + bounds(signal, format) + '. ' + first,
);

{
  prometheusRules+:: {
    groups+: [
      alert.group($._config, 'ml-control.rules', [
        level.level($._config, 'ml_control_limit'),
        level.level($._config, 'ml_prediction_confidence_mean', worst='min'),
      ]),
    ],
  },

  prometheusAlerts+:: {
    groups+: [
      alert.group($._config, 'ml-control.alerts', [
        outside(
          $._config,
          'MLLatencyOutOfControl',
          'outcome',
          'latency',
          beyond('ml:window_latency_seconds{q="0.99",window="1d"}', '>', 'window_latency_seconds_p99', 'upper'),
          'ml:window_rows:enough',
          'The 99th percentile of the latency',
          'window_latency_seconds_p99',
          'humanizeDuration',
          'A model is slower than its own past explains.',
          'First see whether a version was deployed when it rose.',
        ),
        outside(
          $._config,
          'MLVolumeOutOfControl',
          'diagnostic',  // other days than before; a pipeline that is broken is MLVolumeDrop or MLVolumeSurge
          'volume',
          '(\n' + alert.indent(beyond('ml:window_rows{window="1d"}', '<', 'window_rows', 'lower')) + '\n  or\n'
          + alert.indent(beyond('ml:window_rows{window="1d"}', '>', 'window_rows', 'upper')) + '\n)\n',
          'ml:window_rows:enough',
          'The number of predictions',
          'window_rows',
          'humanize',
          'A model has more or fewer requests a day than its own past explains.',
          'First see whether a caller came, left or repeats itself.',
        ),
        outside(
          $._config,
          'MLConfidenceDrop',
          'diagnostic',
          'predictions',
          beyond('ml:prediction_confidence_mean{window="1d"}', '<', 'prediction_confidence_mean', 'lower'),
          'ml:window_rows:enough',
          'The mean confidence',
          'prediction_confidence_mean',
          'humanizePercentage',
          'A model is less sure of its answers than its own past explains.',
          'First see whether features drifted or are null: inputs that the model does not know make it unsure.',
        ),
        outside(
          $._config,
          'MLAccuracyOutOfControl',
          'outcome',
          'quality',
          beyond('ml:accuracy{window="1d"}', '<', 'accuracy', 'lower'),
          'ml:labelled_rows:enough',
          'The accuracy',
          'accuracy',
          'humanizePercentage',
          'A model is right less often than its own past explains.',
          'First rule out wrong or missing labels, then look for features that drifted or are null.',
        ),
      ]),
    ],
  },
}
