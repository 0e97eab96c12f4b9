// Performance against labels. An alert needs the whole 95 % interval below its threshold, so that few labels do not page.
local alert = import 'lib/alert.libsonnet';
local level = import 'lib/level.libsonnet';
local threshold = import 'lib/threshold.libsonnet';

local accuracyLow(config, severity) = alert.model(
  config,
  'MLAccuracyLow',
  severity=severity,
  layer='outcome',
  family='quality',
  expr=threshold.outcome(
    'ml:accuracy_upper', '<', 'accuracy', '1d', severity, short='2h', enough='ml:labelled_rows:enough', shortLevel='ml:accuracy'
  ),
  summary='A model is right less often than it must be.',
  description='Model {{ $labels.model }} was right in '
              + threshold.value('ml:accuracy{window="1d"}', ['model'], 'humanizePercentage')
              + ' of the labelled predictions of one day, and with 95 % confidence in at most {{ $value | humanizePercentage }}; the limit is '
              + threshold.shown('accuracy', '1d', severity)
              + '. First rule out wrong or missing labels (coverage, share of each class), then wrong inputs (nulls, drift).',
);

{
  prometheusRules+:: {
    groups+: [
      alert.group($._config, 'ml-quality.rules', [
        level.level($._config, 'ml_accuracy', worst='min'),
        level.level($._config, 'ml_accuracy_upper', worst='min'),
        level.level($._config, 'ml_roc_auc', worst='min'),
        level.level($._config, 'ml_roc_auc_upper', worst='min'),
      ]),
    ],
  },

  prometheusAlerts+:: {
    groups+: [
      alert.group(
        $._config,
        'ml-quality.alerts',
        threshold.rules($._config, ['accuracy', 'roc_auc'])
        + [accuracyLow($._config, severity) for severity in ['warning', 'critical']]
        + [
          alert.model(
            $._config,
            'MLRocAucLow',
            severity='warning',
            layer='outcome',
            family='quality',
            expr=threshold.compare('ml:roc_auc_upper{window="1d"}', '<', 'roc_auc', '1d', 'warning')
                 + 'and on (model, window)\n  ml:labelled_rows:enough',
            summary='The scores of a model hardly tell its classes apart.',
            description='The ROC AUC of model {{ $labels.model }} over one day was '
                        + threshold.value('ml:roc_auc{window="1d"}', ['model'], 'printf "%.3f"')
                        + ', and with 95 % confidence at most {{ $value | printf "%.3f" }}; the limit is '
                        + threshold.shown('roc_auc', '1d', 'warning')
                        + '. First rule out wrong or missing labels, then look for features that drifted or are null.',
          ),
        ]
      ),
    ],
  },
}
