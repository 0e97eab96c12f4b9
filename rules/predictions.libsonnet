// Anomalies of the predictions: other classes than in the reference, or default answers in place of predictions.
local alert = import 'lib/alert.libsonnet';
local level = import 'lib/level.libsonnet';
local threshold = import 'lib/threshold.libsonnet';

// The class that moved most, with both shares.
local moved =
  '{{ with printf `sort_desc(ml:prediction_class_shift_ratio:significant{window="1d",model=%q})` $labels.model | query }}{{ $class := first . }}'
  + 'Class {{ $class.Labels.class }} of model {{ $labels.model }} had a share of '
  + threshold.value('ml:prediction_class_ratio{window="1d"}', ['model', 'class'], 'humanizePercentage', '$class.Labels')
  + ' over the last day, '
  + threshold.value('ml:prediction_baseline_class_ratio', ['model', 'class'], 'humanizePercentage', '$class.Labels')
  + ' in the reference. {{ end }}';

local fallbackHigh(config, severity) = alert.model(
  config,
  'MLPredictionFallbackHigh',
  severity=severity,
  layer='outcome',
  family='errors',
  expr=threshold.outcome('ml:prediction_fallback_ratio', '>', 'prediction_fallback_ratio', '1h', severity, short='5m', enough='ml:window_rows:enough'),
  summary='A model serves default answers in place of predictions.',
  description='Model {{ $labels.model }} served a default answer in {{ $value | humanizePercentage }} of the requests of the last hour, above the limit of '
              + threshold.shown('prediction_fallback_ratio', '1h', severity)
              + '. First see whether features are missing: most services fall back when they cannot fetch them.',
);

{
  prometheusRules+:: {
    groups+: [
      alert.group($._config, 'ml-predictions.rules', [
        level.level($._config, 'ml_prediction_class_ratio'),
        level.level($._config, 'ml_prediction_baseline_class_ratio'),
        level.level($._config, 'ml_prediction_fallback_ratio'),
        // A shift has a sign; the worst replica is the one farthest from zero.
        level.level($._config, 'ml_prediction_class_shift_sigmas', through='abs'),
        level.level($._config, 'ml_prediction_class_shift_critical_sigmas'),
        {
          record: 'ml:prediction_class_shift_ratio',
          expr: |||
            abs(
              ml:prediction_class_ratio
              - on (model, class) group_left ()
                max by (model, class) (ml:prediction_baseline_class_ratio)
            )
          |||,
        },
        {
          record: 'ml:prediction_class_shift_ratio:significant',
          expr: |||
            ml:prediction_class_shift_ratio
            and on (model, window, class)
              (
                ml:prediction_class_shift_sigmas
                > on (model, window, class) group_left ()
                  max by (model, window, class) (ml:prediction_class_shift_critical_sigmas)
              )
          |||,
        },
      ]),
    ],
  },

  prometheusAlerts+:: {
    groups+: [
      alert.group(
        $._config,
        'ml-predictions.alerts',
        threshold.rules($._config, ['prediction_class_shift_ratio', 'prediction_fallback_ratio'])
        + [
          alert.model(
            $._config,
            'MLPredictionClassShift',
            severity='warning',
            layer='diagnostic',
            family='predictions',
            expr='max by (model, window) (\n'
                 + alert.indent(threshold.compare(
                   'ml:prediction_class_shift_ratio:significant{window="1d"}', '>=', 'prediction_class_shift_ratio', '1d', 'warning'
                 ))
                 + '\n)\nand on (model, window)\n  ml:window_rows:enough',
            summary='A model predicts its classes in other shares than in the reference.',
            description=moved
                        + 'The difference of {{ $value | humanizePercentage }} has reached the limit of '
                        + threshold.shown('prediction_class_shift_ratio', '1d', 'warning')
                        + ' and is beyond the noise of the reference. First see whether features drifted or are null, and whether the version of the model changed.',
          ),
        ]
        + [fallbackHigh($._config, severity) for severity in ['warning', 'critical']]
      ),
    ],
  },
}
