// Data quality: a pipeline that delivers nulls, unreadable or strange values, or fewer rows. A feature counts if its excess over the
// reference is large (the threshold) and more than noise: of nulls, what its own reference hours show without any change (the critical
// ratio); of the others, which a reference hardly has, three standard errors of a share, so at least ten rows.
local alert = import 'lib/alert.libsonnet';
local comparison = import 'lib/comparison.libsonnet';
local d = import 'lib/duration.libsonnet';
local level = import 'lib/level.libsonnet';
local m = import 'lib/metric.libsonnet';
local threshold = import 'lib/threshold.libsonnet';

local excess(kind) = {
  record: 'ml:feature_' + kind + '_excess_ratio',
  expr: |||
    ml:feature_%s_ratio
    - on (model, feature) group_left ()
      max by (model, feature) (ml:feature_baseline_%s_ratio)
  ||| % [kind, kind],
};

local beyondChance(kind) = {
  record: 'ml:feature_' + kind + '_excess_ratio:significant',
  expr: |||
    ml:feature_%s_excess_ratio
    > on (model, window, feature) group_left ()
      max by (model, window, feature) (
        3 * sqrt(
          ml:feature_%s_ratio * (1 - ml:feature_%s_ratio)
          / on (model, window) group_left ()
            max by (model, window) (ml:window_rows)
        )
      )
  ||| % [kind, kind, kind],
};

local levels(config, kind) = [
  level.level(config, 'ml_feature_' + kind + '_ratio'),
  level.level(config, 'ml_feature_baseline_' + kind + '_ratio'),
  excess(kind),
];

local featureHigh(config, severity, name, family, kind, was, summary, also, first) =
  local signal = 'feature_' + kind + '_excess_ratio';
  alert.model(
    config,
    name,
    severity=severity,
    layer='data',
    family=family,
    expr=threshold.compare('ml:' + signal + ':significant{window="1h"}', '>', signal, '1h', severity) + threshold.enough('ml:window_rows:enough'),
    summary=summary,
    description='Feature {{ $labels.feature }} of model {{ $labels.model }} was ' + was + ' in '
                + threshold.value('ml:feature_' + kind + '_ratio{window="1h"}', ['model', 'feature'], 'humanizePercentage')
                + ' of the predictions of the last hour, '
                + threshold.value('ml:feature_baseline_' + kind + '_ratio', ['model', 'feature'], 'humanizePercentage')
                + ' in the reference. The difference of {{ $value | humanizePercentage }} is above the limit of '
                + threshold.shown(signal, '1h', severity)
                + also + ' ' + first,
  );

local nullRatioHigh(config, severity) = featureHigh(
  config,
  severity,
  'MLFeatureNullRatioHigh',
  'nulls',
  'null',
  'null',
  'A feature is null much more often than in the reference.',
  ' and above the noise floor of '
  + threshold.value('ml:feature_null_critical_ratio{window="1h"}', ['model', 'feature'], 'humanizePercentage')
  + ' that the hours of the reference show.',
  'First see which other features of the same upstream are null too, and what was deployed there.',
);

local invalidHigh(config, severity) = featureHigh(
  config,
  severity,
  'MLFeatureInvalidHigh',
  'values',
  'invalid',
  'unreadable',
  'A feature has values that cannot be read.',
  ' and more than chance.',
  'First look at such a value in the log: an upstream has changed its type or format.',
);

local outOfRangeHigh(config) = featureHigh(
  config,
  'warning',
  'MLFeatureOutOfRangeHigh',
  'values',
  'out_of_range',
  'outside its range',
  'A feature leaves its range much more often than in the reference.',
  ' and more than chance.',
  'First compare the values with those of last week: a changed unit moves all of them by the same factor.',
);

local unseenHigh(config) = featureHigh(
  config,
  'warning',
  'MLFeatureUnseenHigh',
  'values',
  'unseen_category',
  'of a category that the reference does not know',
  'A feature has categories that the model never saw.',
  ' and more than chance.',
  'First look which values are new: a renamed category is mended upstream, a new one needs a retrained model.',
);

local schemaViolations(config, severity) = alert.model(
  config,
  'MLSchemaViolations',
  severity=severity,
  layer='data',
  family='schema',
  expr=threshold.compare('ml:schema_violation_excess_ratio', '>', 'schema_violation_excess_ratio', '', severity)
       + threshold.enough('ml:window_rows:enough{window="1h"}', 'model'),
  summary='Predictions of a model break the schema.',
  description='Model {{ $labels.model }} had violations of kind {{ $labels.kind }} in '
              + threshold.value('ml:schema_violation_ratio', ['model', 'kind'], 'humanizePercentage')
              + ' of the predictions that were read in the last hour. That is {{ $value | humanizePercentage }} more than in the week before; the limit is '
              + threshold.shown('schema_violation_excess_ratio', '', severity)
              + '. The rows were counted without the broken values. First see what was deployed in the service that writes the log.',
);

local hour(config, offset) = 'ml:window_rows:enough{window="1h"} offset ' + d.text(config, offset);
local day = 86400;

// Of this hour yesterday and a week ago the smaller or the larger, if both had enough rows.
local usual(config, bound, operator) = {
  record: 'ml:volume_usual_rows:' + bound,
  expr: '(' + hour(config, day) + ' ' + operator + ' ' + hour(config, 7 * day) + ')\nor\n('
        + hour(config, 7 * day) + ' ' + operator + '= ' + hour(config, day) + ')',
};

local volumeText(bound) =
  'Model {{ $labels.model }} had '
  + threshold.value('ml:window_rows{window="1h"}', ['model'], 'humanize')
  + ' predictions in the last hour, and '
  + threshold.value('ml:volume_usual_rows:' + bound + '{window="1h"}', ['model'], 'humanize');

local volumeDrop(config, severity) = alert.model(
  config,
  'MLVolumeDrop',
  severity=severity,
  layer='data',
  family='volume',
  expr=threshold.compare('ml:volume_drop_ratio{window="1h"}', '>', 'volume_drop_ratio', '1h', severity),
  summary='A model gets far fewer requests than usual.',
  description=volumeText('lower')
              + ' in the same hour of yesterday or of last week, whichever was less. The drop of {{ $value | humanizePercentage }} is above the limit of '
              + threshold.shown('volume_drop_ratio', '1h', severity)
              + '. First see whether its callers still call, and whether its log still grows.',
);

local repeated(config) = alert.model(
  config,
  'MLPredictionsRepeated',
  severity='warning',
  layer='data',
  family='volume',
  expr=threshold.compare('ml:prediction_repeated_ratio{window="1h"}', '>', 'prediction_repeated_ratio', '1h', 'warning')
       + threshold.enough('ml:window_rows:enough'),
  summary='Predictions of a model are logged more than once.',
  description='{{ $value | humanizePercentage }} of the predictions of model {{ $labels.model }} in the last hour had an id that an earlier one had; the limit is '
              + threshold.shown('prediction_repeated_ratio', '1h', 'warning')
              + '. Whatever counts rows counts them twice. First see whether a caller repeats its requests or a shipper sends lines again.',
);

local volumeSurge(config) = alert.model(
  config,
  'MLVolumeSurge',
  severity='warning',
  layer='data',
  family='volume',
  expr=threshold.compare('ml:volume_surge_factor{window="1h"}', '>', 'volume_surge_factor', '1h', 'warning'),
  summary='A model gets far more requests than usual.',
  description=volumeText('upper')
              + ' in the same hour of yesterday or of last week, whichever was more. That is {{ $value | printf "%.2g" }} times as many; the limit is '
              + threshold.shown('volume_surge_factor', '1h', 'warning')
              + '. First see whether one caller repeats its requests.',
);

{
  prometheusRules+:: {
    groups+: [
      alert.group(
        $._config,
        'ml-data.rules',
        levels($._config, 'null')
        + [
          level.level($._config, 'ml_feature_null_critical_ratio'),
          comparison.significant('ml:feature_null_excess_ratio', 'ml:feature_null_critical_ratio', ['model', 'window', 'feature']),
        ]
        + std.flattenArrays([levels($._config, kind) + [beyondChance(kind)] for kind in ['invalid', 'out_of_range', 'unseen_category']])
      ),
      alert.group($._config, 'ml-volume.rules', [
        {
          // Both counters grow when rows are read, so that an outage which is caught up with changes the share by nothing.
          record: 'ml:schema_violation_ratio',
          expr: 'sum by (model, kind) (increase(' + m.read($._config, 'ml_schema_violations_total') + '[' + d.text($._config, 3600) + ']))\n'
                + '/ on (model) group_left ()\n'
                + '  (sum by (model) (increase(' + m.read($._config, 'ml_predictions_total') + '[' + d.text($._config, 3600) + '])) > 0)',
        },
        {
          // Many writers leave out what is null, or write more than is watched: the usual share is no news.
          record: 'ml:schema_violation_excess_ratio',
          expr: 'ml:schema_violation_ratio\n- avg_over_time(ml:schema_violation_ratio[' + d.text($._config, 7 * day) + ':' + d.text($._config, 3600)
                + '] offset ' + d.text($._config, day) + ')',
        },
        usual($._config, 'lower', '<'),
        usual($._config, 'upper', '>'),
        level.level($._config, 'ml_prediction_repeated_ratio'),
        { record: 'ml:volume_drop_ratio', expr: '1 - ml:window_rows / on (model, window) ml:volume_usual_rows:lower' },
        { record: 'ml:volume_surge_factor', expr: 'ml:window_rows / on (model, window) ml:volume_usual_rows:upper' },
      ]),
    ],
  },

  prometheusAlerts+:: {
    groups+: [
      alert.group(
        $._config,
        'ml-nulls.alerts',
        threshold.rules($._config, ['feature_null_excess_ratio'])
        + [nullRatioHigh($._config, severity) for severity in ['warning', 'critical']]
      ),
      alert.group(
        $._config,
        'ml-values.alerts',
        threshold.rules($._config, ['feature_invalid_excess_ratio', 'feature_out_of_range_excess_ratio', 'feature_unseen_category_excess_ratio'])
        + [invalidHigh($._config, severity) for severity in ['warning', 'critical']]
        + [outOfRangeHigh($._config), unseenHigh($._config)]
      ),
      alert.group(
        $._config,
        'ml-schema.alerts',
        threshold.rules($._config, ['schema_violation_excess_ratio'])
        + [schemaViolations($._config, severity) for severity in ['warning', 'critical']]
      ),
      alert.group(
        $._config,
        'ml-volume.alerts',
        threshold.rules($._config, ['volume_drop_ratio', 'volume_surge_factor', 'prediction_repeated_ratio'])
        + [volumeDrop($._config, severity) for severity in ['warning', 'critical']]
        + [volumeSurge($._config), repeated($._config)]
      ),
    ],
  },
}
