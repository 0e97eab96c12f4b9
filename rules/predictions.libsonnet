// Anomalies of the predictions: other classes than in the reference, or default answers in place of predictions.
local alert = import 'lib/alert.libsonnet';
local comparison = import 'lib/comparison.libsonnet';
local level = import 'lib/level.libsonnet';
local threshold = import 'lib/threshold.libsonnet';
local signals = import 'signals.libsonnet';

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

local errorHigh(config, severity) = alert.model(
  config,
  'MLPredictionErrorHigh',
  severity=severity,
  layer='outcome',
  family='errors',
  expr=threshold.outcome('ml:prediction_error_ratio', '>', 'prediction_error_ratio', '1h', severity, short='5m', enough='ml:window_rows:enough'),
  summary='Requests to a model fail.',
  description='{{ $value | humanizePercentage }} of the requests to model {{ $labels.model }} in the last hour ended in an error; the limit is '
              + threshold.shown('prediction_error_ratio', '1h', severity)
              + '. First see whether they fail for all inputs or for those without some feature, and whether a version was deployed.',
);

// The scores or numbers as a whole against the reference.
local drifted(config, name, signal, critical, what, summary, first) = alert.model(
  config,
  name,
  severity='warning',
  layer='diagnostic',
  family='predictions',
  expr=threshold.compare('ml:' + signal + ':significant{window="1d"}', '>', signal, '1d', 'warning')
       + threshold.enough('ml:window_rows:enough') + comparison.settled,
  summary=summary,
  description=what + ' {{ $value | ' + signals[signal].format + ' }} over the last day for model {{ $labels.model }}; the limit is '
              + threshold.shown(signal, '1d', 'warning')
              + ' and the noise floor '
              + threshold.value('ml:' + critical + '{window="1d"}', ['model'], signals[signal].format)
              + '. ' + comparison.provisional + first,
);

// A share above that of the reference, and more than its own days show. It is that of the metrics of `metric`, perhaps with labels.
local excess(config, kind, metric=kind, labels={}) = [
  level.level(config, 'ml_prediction_' + metric + '_ratio', labels=labels) + { record: 'ml:prediction_' + kind + '_ratio' },
  level.level(config, 'ml_prediction_baseline_' + metric + '_ratio', labels=labels) + { record: 'ml:prediction_baseline_' + kind + '_ratio' },
  level.level(config, 'ml_prediction_' + metric + '_critical_ratio', labels=labels) + { record: 'ml:prediction_' + kind + '_critical_ratio' },
  {
    record: 'ml:prediction_' + kind + '_excess_ratio',
    expr: 'ml:prediction_' + kind + '_ratio\n- on (model) group_left ()\n  max by (model) (ml:prediction_baseline_' + kind + '_ratio)',
  },
  comparison.significant('ml:prediction_' + kind + '_excess_ratio', 'ml:prediction_' + kind + '_critical_ratio', ['model', 'window']),
];

{
  prometheusRules+:: {
    groups+: [
      alert.group($._config, 'ml-predictions.rules', [
        level.level($._config, 'ml_prediction_class_ratio'),
        level.level($._config, 'ml_prediction_baseline_class_ratio'),
        level.level($._config, 'ml_prediction_fallback_ratio'),
        level.level($._config, 'ml_prediction_error_ratio'),
        level.level($._config, 'ml_prediction_psi'),
        level.level($._config, 'ml_prediction_psi_critical'),
        comparison.significant('ml:prediction_psi', 'ml:prediction_psi_critical', ['model', 'window'], ' <= ' + $._config.psiCriticalMaximum),
        level.level($._config, 'ml_prediction_mean_shift_sigmas', through='abs'),
        level.level($._config, 'ml_prediction_mean_shift_critical_sigmas'),
        comparison.significant('ml:prediction_mean_shift_sigmas', 'ml:prediction_mean_shift_critical_sigmas', ['model', 'window']),
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
      alert.group(
        $._config,
        'ml-anomalies.rules',
        excess($._config, 'outlier')
        // Absurd answers are too few to move the share of all outliers, and the noise of those is not theirs.
        + excess($._config, 'absurd', 'outlier', { reason: 'prediction' })
        + excess($._config, 'concentration')
        + [
          level.level($._config, 'ml_multivariate_drift', through='abs'),
          level.level($._config, 'ml_multivariate_drift_critical'),
          comparison.significant('ml:multivariate_drift', 'ml:multivariate_drift_critical', ['model', 'window']),
        ]
      ),
      alert.group($._config, 'ml-spread.rules', [
        level.level($._config, 'ml_prediction_spread'),
        level.level($._config, 'ml_prediction_baseline_spread'),
        level.level($._config, 'ml_prediction_spread_critical'),
        {
          record: 'ml:prediction_spread_change',
          expr: 'abs(\n  ml:prediction_spread\n  - on (model) group_left ()\n    max by (model) (ml:prediction_baseline_spread)\n)',
        },
        {
          record: 'ml:prediction_spread_change_ratio',
          expr: 'ml:prediction_spread_change\n/ on (model) group_left ()\n  max by (model) (ml:prediction_baseline_spread > 0)',
        },
        {
          record: 'ml:prediction_spread_change_ratio:significant',
          expr: |||
            ml:prediction_spread_change_ratio
            and on (model, window)
              (
                ml:prediction_spread_change
                > on (model, window) group_left ()
                  max by (model, window) (ml:prediction_spread_critical)
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
        'ml-anomalies.alerts',
        threshold.rules($._config, ['prediction_outlier_excess_ratio', 'prediction_absurd_excess_ratio', 'prediction_concentration_excess_ratio', 'multivariate_drift'])
        + [
          drifted(
            $._config,
            'MLOutlierExcess',
            'prediction_outlier_excess_ratio',
            'prediction_outlier_critical_ratio',
            'The share of rows that the reference does not know is higher by',
            'More rows than usual are unlike all that the model knows.',
            'First see for which reason, and read some of these rows.',
          ),
          drifted(
            $._config,
            'MLPredictionAbsurd',
            'prediction_absurd_excess_ratio',
            'prediction_absurd_critical_ratio',
            'The share of answers that the model never gave in the reference is higher by',
            'Single answers of a model are absurd.',
            'First read some of these rows: answers that are certain, far off, or of a class that was never predicted.',
          ),
          drifted(
            $._config,
            'MLPredictionFrozen',
            'prediction_concentration_excess_ratio',
            'prediction_concentration_critical_ratio',
            'The share of equal answers is higher by',
            'A model gives the same answer too often.',
            'First see whether its inputs still differ: a constant upstream or a cache in front of the model are the usual reasons.',
          ),
          drifted(
            $._config,
            'MLMultivariateDrift',
            'multivariate_drift',
            'multivariate_drift_critical',
            'The features go together worse than in the reference, by a number of standard deviations of',
            'The features of a model no longer go together as in the reference.',
            'First see which features drift alone; if none does, look for rows that were joined wrongly.',
          ),
        ]
      ),
      alert.group(
        $._config,
        'ml-predictions.alerts',
        threshold.rules($._config, ['prediction_class_shift_ratio', 'prediction_psi', 'prediction_mean_shift_sigmas', 'prediction_spread_change_ratio'])
        + [
          alert.model(
            $._config,
            'MLPredictionClassShift',
            severity='warning',
            layer='diagnostic',
            family='predictions',
            expr=comparison.aggregated('max', 'ml:prediction_class_shift_ratio:significant', '>=', 'prediction_class_shift_ratio', '1d', 'warning')
                 + '\n' + threshold.enough('ml:window_rows:enough') + comparison.settled,
            summary='A model predicts its classes in other shares than in the reference.',
            description=moved
                        + 'The difference of {{ $value | humanizePercentage }} has reached the limit of '
                        + threshold.shown('prediction_class_shift_ratio', '1d', 'warning')
                        + ' and is beyond the noise of the reference. First see whether features drifted or are null, and whether the version of the model changed.',
          ),
          drifted(
            $._config,
            'MLPredictionDrift',
            'prediction_psi',
            'prediction_psi_critical',
            'The predictions have a PSI of',
            'The predictions of a model are distributed differently than in the reference.',
            'First see whether features drifted or are null, and whether the version of the model changed.',
          ),
          drifted(
            $._config,
            'MLPredictionMeanShift',
            'prediction_mean_shift_sigmas',
            'prediction_mean_shift_critical_sigmas',
            'The mean prediction moved by a number of robust standard deviations of',
            'The mean prediction of a regression is far from that of the reference.',
            'First see whether the labels moved too: then the world has changed, else the model or its inputs have.',
          ),
          alert.model(
            $._config,
            'MLPredictionSpreadChange',
            severity='warning',
            layer='diagnostic',
            family='predictions',
            expr=threshold.compare('ml:prediction_spread_change_ratio:significant{window="1d"}', '>', 'prediction_spread_change_ratio', '1d', 'warning')
                 + threshold.enough('ml:window_rows:enough') + comparison.settled,
            summary='The answers of a model lie closer together or further apart than in the reference.',
            description='The answers of model {{ $labels.model }} had a standard deviation of '
                        + threshold.value('ml:prediction_spread{window="1d"}', ['model'], 'printf "%.3g"')
                        + ' over the last day and '
                        + threshold.value('ml:prediction_baseline_spread', ['model'], 'printf "%.3g"')
                        + ' in the reference. The difference is {{ $value | humanizePercentage }} of that; the limit is '
                        + threshold.shown('prediction_spread_change_ratio', '1d', 'warning')
                        + ', and the noise floor of the difference is '
                        + threshold.value('ml:prediction_spread_critical{window="1d"}', ['model'], 'printf "%.3g"')
                        + '. ' + comparison.provisional
                        + 'First see whether the version changed, then whether features are missing: answers that say less lie closer together.',
          ),
        ]
      ),
      alert.group(
        $._config,
        'ml-errors.alerts',
        threshold.rules($._config, ['prediction_fallback_ratio', 'prediction_error_ratio'])
        + [fallbackHigh($._config, severity) for severity in ['warning', 'critical']]
        + [errorHigh($._config, severity) for severity in ['warning', 'critical']]
      ),
    ],
  },
}
