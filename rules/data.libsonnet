// Data quality: a pipeline that delivers nulls where the reference had values. A feature counts if its excess of nulls is large
// (the threshold) and more than its own reference hours show without any change (the critical ratio).
local alert = import 'lib/alert.libsonnet';
local level = import 'lib/level.libsonnet';
local threshold = import 'lib/threshold.libsonnet';

local nullRatioHigh(config, severity) = alert.model(
  config,
  'MLFeatureNullRatioHigh',
  severity=severity,
  layer='data',
  family='nulls',
  expr=threshold.compare('ml:feature_null_excess_ratio:significant{window="1h"}', '>', 'feature_null_excess_ratio', '1h', severity)
       + 'and on (model, window)\n  ml:window_rows:enough',
  summary='A feature is null much more often than in the reference.',
  description='Feature {{ $labels.feature }} of model {{ $labels.model }} was null in '
              + threshold.value('ml:feature_null_ratio{window="1h"}', ['model', 'feature'], 'humanizePercentage')
              + ' of the predictions of the last hour, '
              + threshold.value('ml:feature_baseline_null_ratio', ['model', 'feature'], 'humanizePercentage')
              + ' in the reference. The difference of {{ $value | humanizePercentage }} is above the limit of '
              + threshold.shown('feature_null_excess_ratio', '1h', severity)
              + ' and above the noise floor of '
              + threshold.value('ml:feature_null_critical_ratio{window="1h"}', ['model', 'feature'], 'humanizePercentage')
              + ' that the hours of the reference show. First see which other features of the same upstream are null too, and what was deployed there.',
);

{
  prometheusRules+:: {
    groups+: [
      alert.group($._config, 'ml-data.rules', [
        level.level($._config, 'ml_feature_null_ratio'),
        level.level($._config, 'ml_feature_baseline_null_ratio'),
        level.level($._config, 'ml_feature_null_critical_ratio'),
        {
          record: 'ml:feature_null_excess_ratio',
          expr: |||
            ml:feature_null_ratio
            - on (model, feature) group_left ()
              max by (model, feature) (ml:feature_baseline_null_ratio)
          |||,
        },
        {
          record: 'ml:feature_null_excess_ratio:significant',
          expr: |||
            ml:feature_null_excess_ratio
            > on (model, window, feature) group_left ()
              max by (model, window, feature) (ml:feature_null_critical_ratio)
          |||,
        },
      ]),
    ],
  },

  prometheusAlerts+:: {
    groups+: [
      alert.group(
        $._config,
        'ml-data.alerts',
        threshold.rules($._config, ['feature_null_excess_ratio'])
        + [nullRatioHigh($._config, severity) for severity in ['warning', 'critical']]
      ),
    ],
  },
}
