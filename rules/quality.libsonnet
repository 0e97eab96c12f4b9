// Performance against labels. An alert needs the whole 95 % interval beyond its threshold, so that few labels do not page. Macro averages
// have no interval of their own: theirs is the value and 1/√rows, which is the interval of classes of equal size that are right half the time.
local alert = import 'lib/alert.libsonnet';
local comparison = import 'lib/comparison.libsonnet';
local d = import 'lib/duration.libsonnet';
local level = import 'lib/level.libsonnet';
local m = import 'lib/metric.libsonnet';
local threshold = import 'lib/threshold.libsonnet';
local signals = import 'signals.libsonnet';

// One row a measure: its signal, the alert, what a low or high value means, and the first look after labels and inputs.
local measures = {
  accuracy: { alert: 'MLAccuracyLow', summary: 'A model is right less often than it must be.' },
  precision: { alert: 'MLPrecisionLow', summary: 'What a model predicts as positive is too often wrong.' },
  recall: { alert: 'MLRecallLow', summary: 'A model misses too many of the positives.' },
  f1: { alert: 'MLF1Low', summary: 'Precision and recall of a model are together too low.' },
  roc_auc: { alert: 'MLRocAucLow', summary: 'The scores of a model hardly tell its classes apart.' },
  precision_macro: { alert: 'MLPrecisionMacroLow', macro: true, summary: 'Averaged over the classes, what a model predicts is too often wrong.' },
  recall_macro: { alert: 'MLRecallMacroLow', macro: true, summary: 'Averaged over the classes, a model misses too many cases.' },
  f1_macro: { alert: 'MLF1MacroLow', macro: true, summary: 'Averaged over the classes, precision and recall of a model are too low.' },
  roc_auc_macro: { alert: 'MLRocAucMacroLow', macro: true, summary: 'Averaged over the classes, the scores of a model hardly tell them apart.' },
  log_loss: { alert: 'MLLogLossHigh', alone: true, summary: 'The scores of a model say too little about the labels.' },
  brier_score: { alert: 'MLBrierScoreHigh', alone: true, summary: 'The scores of a model are too far from what came true.' },
  mean_absolute_error: { alert: 'MLMeanAbsoluteErrorHigh', summary: 'The predictions of a regression are too far from the labels.' },
  root_mean_squared_error: { alert: 'MLRootMeanSquaredErrorHigh', summary: 'A regression makes large errors too often.' },
};
// Not compared with the reference or the month: both losses move with the share of positives of a day (docs/why.md).
local isAlone(name) = std.get(measures[name], 'alone', false);
local isLow(name) = signals[name].low;
local isMacro(name) = std.get(measures[name], 'macro', false);
local pages(name) = std.member(signals[name].severities, 'critical');
local surely(name) = 'ml:' + name + (if isLow(name) then '_upper' else '_lower');
local title(name) =
  std.get({ f1: 'F1', roc_auc: 'ROC AUC', precision_macro: 'macro precision', recall_macro: 'macro recall', f1_macro: 'macro F1', roc_auc_macro: 'macro ROC AUC', brier_score: 'Brier score' }, name, std.strReplace(name, '_', ' '));

local value(name) = threshold.value('ml:' + name + '{window="1d"}', ['model'], signals[name].format);
local text(name, severity) =
  local beginning =
    if name == 'accuracy' then
      'Model {{ $labels.model }} was right in ' + value(name) + ' of the labelled predictions of one day, and with 95 % confidence in at most {{ $value | humanizePercentage }}'
    else
      'The ' + title(name) + ' of model {{ $labels.model }} over one day was ' + value(name)
      + ', and with 95 % confidence ' + (if isLow(name) then 'at most' else 'at least') + ' {{ $value | ' + signals[name].format + ' }}';
  beginning + '; the limit is ' + threshold.shown(name, '1d', severity) + '. '
  + (
    if name == 'accuracy' then 'First rule out wrong or missing labels (coverage, share of each class), then wrong inputs (nulls, drift).'
    else 'First rule out wrong or missing labels, then look for features that drifted or are null.'
  );

// Where it may page, the two hours must not show that it is over.
local beyond(config, name, severity) =
  local operator = if isLow(name) then '<' else '>';
  alert.model(
    config,
    measures[name].alert,
    severity=severity,
    layer='outcome',
    family='quality',
    expr=if pages(name) then
      threshold.outcome(surely(name), operator, name, '1d', severity, short='2h', enough='ml:labelled_rows:enough', shortLevel='ml:' + name)
    else
      threshold.compare(surely(name) + '{window="1d"}', operator, name, '1d', severity) + threshold.enough('ml:labelled_rows:enough'),
    summary=measures[name].summary,
    description=text(name, severity),
  );

local levels(config, name) =
  local worst = if isLow(name) then 'min' else 'max';
  [level.level(config, 'ml_' + name, worst=worst)]
  + (
    if isMacro(name) then [{
      record: surely(name),
      expr: 'ml:' + name + '\n+ on (model, window)\n  1 / sqrt(ml:labelled_rows > 0)',
    }]
    else [level.level(config, 'ml_' + name + (if isLow(name) then '_upper' else '_lower'), worst=worst)]
  )
  + (if isAlone(name) then [] else [level.level(config, 'ml_baseline_' + name)]);

// How much worse than in the reference a measure surely is: as a share of the reference, or in points. Errors have no points.
local loss(config, name, record='ml:quality_baseline_loss', before='ml:baseline_', now=surely(name) + '{window="1d"}') = {
  record: record,
  labels: { measure: name },
  expr:
    local joined = ' on (model) group_left ()\n  max by (model) (' + before + name + ' > 0)';
    if !isLow(name) then now + '\n/' + joined + '\n- 1'
    else if config.qualityLoss == 'points' then '-(' + now + '\n-' + joined + ')'
    else if config.qualityLoss == 'relative' then '1 - ' + now + '\n/' + joined
    else error 'rules: expected relative or points in _config.qualityLoss, got %s. Correct it.' % config.qualityLoss,
};

// The measures that are worse than before, counted, with the worst by name.
local worse(config, name, signal, layer, family, enough, than, summary, also='') =
  local compared = threshold.compare('ml:' + signal + '{window="1d"}', '>', signal, '1d', 'warning');
  alert.model(
    config,
    name,
    severity='warning',
    layer=layer,
    family=family,
    expr=comparison.aggregated('count', 'ml:' + signal, '>', signal, '1d', 'warning')
         + '\n' + threshold.enough(enough) + comparison.settled,
    summary=summary,
    description='Measures of model {{ $labels.model }} that ' + than + ': {{ $value }}. '
                + comparison.worst(
                  compared,
                  '1d',
                  'The worst is {{ $worst.Labels.measure }}, by at least {{ $worst.Value | humanizePercentage }}; the limit is '
                  + threshold.shown(signal, '1d', 'warning', '$worst.Labels') + '. '
                )
                + also
                + 'First rule out wrong or missing labels, then look for features that drifted or are null.',
  );

// The 30 days before the window of a day are a baseline of their own.
local month(config, name) = level.level(config { baseline: 'previous_30d' }, 'ml_baseline_' + name) + { record: 'ml:previous_30d_' + name };

// Estimates without labels: the better end, where the estimate was not off by more than its error when labels came.
// Not F1: it follows the share of positives, so it is low on every day with few of them, as it was on such days of the reference.
local estimated = ['accuracy', 'roc_auc', 'mean_absolute_error'];
local estimate(config, name) =
  local better = '(\n  ml:estimated_' + name + '{window="1d"}\n  ' + (if isLow(name) then '+' else '-') + ' on (model, window)\n    ml:estimated_' + name + '_error\n)';
  local made = loss(config, name, 'ml:estimated_quality_loss', now=better);
  made {
    expr+: '\nunless on (model)\n  (\n    ml:estimated_bias{metric="' + name + '",window="1d"}\n    > on (model) group_left ()\n'
           + '      max by (model) (ml:estimated_' + name + '_error{window="1d"})\n  )',
  };

// Wrong answers among those labelled in a time of the clock. Numerator and denominator grow together, so an outage changes nothing.
local errorRatio(config, window, seconds) = {
  local increase(metric) = 'sum by (model) (increase(' + m.read(config, metric) + '[' + d.text(config, seconds) + ']))',
  record: 'ml:labelled_error_ratio:' + window,
  expr: '1 - ' + increase('ml_correct_predictions_total') + '\n/ on (model)\n  (' + increase('ml_labelled_predictions_total')
        + ' >= ' + config.burnLabelsAtLeast + ')',
};
local burns = {
  critical: { long: '1h', short: '5m', factor: 14.4, text: 'the last hour' },
  warning: { long: '6h', short: '30m', factor: 6, text: 'the last six hours' },
};
local burning(config, severity) =
  local burn = burns[severity];
  local beyond(window) =
    'ml:labelled_error_ratio:' + window + '\n> on (model) group_left ()\n  max by (model) ('
    + burn.factor + ' * ' + threshold.series('error_budget_ratio', '', severity) + ')\n';
  alert.model(
    config,
    'MLErrorBudgetBurn',
    severity=severity,
    layer='outcome',
    family='quality',
    expr=beyond(burn.long) + 'and on (model)\n' + beyond(burn.short) + threshold.enough('ml:labelled_rows:enough{window="1d"}', 'model'),
    summary='A model uses up its budget of wrong predictions too fast.',
    description='{{ $value | humanizePercentage }} of the predictions of model {{ $labels.model }} that were labelled in ' + burn.text
                + ' were wrong, more than ' + burn.factor + ' times the value agreed on, which is '
                + threshold.shown('error_budget_ratio', '', severity)
                + '. First see whether the labels are right, then which version or feature changed in that time.',
  );

local calibrationGap(config) = alert.model(
  config,
  'MLCalibrationGapHigh',
  severity='warning',
  layer='outcome',
  family='quality',
  expr=threshold.compare('ml:calibration_gap_sure{window="1d"}', '>', 'calibration_gap', '1d', 'warning') + threshold.enough('ml:labelled_rows:enough'),
  summary='The scores of a model are further off than in its reference.',
  description='The scores of model {{ $labels.model }} were on average higher or lower than what happened, over one day at least {{ $value | humanizePercentage }} more than in its reference (gap '
              + threshold.value('ml:calibration_gap_lower{window="1d"}', ['model'], 'humanizePercentage')
              + ' to '
              + threshold.value('ml:calibration_gap_upper{window="1d"}', ['model'], 'humanizePercentage')
              + '); the limit is '
              + threshold.shown('calibration_gap', '1d', 'warning')
              + '. First see whether the share of the classes changed: then the decision threshold is wrong, not the order of the scores.',
);

local segment = ['model', 'segment_by', 'segment'];
local segmentWorse(config) = alert.model(
  config,
  'MLSegmentWorse',
  severity='warning',
  layer='outcome',
  family='quality',
  expr=threshold.compare('ml:segment_accuracy_gap{window="1d"}', '>', 'segment_accuracy_gap', '1d', 'warning')
       + threshold.enough('ml:segment_labelled_rows:enough', 'model, window, segment_by, segment'),
  summary='A model is right much less often in one segment.',
  description='Where {{ $labels.segment_by }} is {{ $labels.segment }}, model {{ $labels.model }} was right in '
              + threshold.value('ml:segment_accuracy{window="1d"}', segment, 'humanizePercentage')
              + ' of the labelled predictions of one day, and in '
              + threshold.value('ml:accuracy{window="1d"}', ['model'], 'humanizePercentage')
              + ' of all. The difference is {{ $value | humanizePercentage }} at least; the limit is '
              + threshold.shown('segment_accuracy_gap', '1d', 'warning')
              + '. First see whether its labels come as those of the others, then whether a feature is null in this segment.',
);

local shares = '{metric=~"accuracy|precision|recall|f1|roc_auc"}';
local errors = ['mean_absolute_error', 'root_mean_squared_error'];
local apart(selector) =
  '(-ml:version_quality_difference_upper' + selector + ' > 0 or ml:version_quality_difference_lower' + selector + ' > 0)';
local versionLoss = {
  record: 'ml:version_quality_loss',
  expr: std.join('\nor\n', [apart(shares)] + [
    apart('{metric="' + name + '"}') + '\n/ on (model) group_left ()\n  max by (model) (ml:baseline_' + name + ' > 0)'
    for name in errors
  ]),
};

local versionWorse(config) =
  local compared = threshold.compare('ml:version_quality_loss{window="1d"}', '>', 'version_quality_loss', '1d', 'warning');
  alert.model(
    config,
    'MLVersionWorse',
    severity='warning',
    layer='outcome',
    family='quality',
    expr=comparison.aggregated('count', 'ml:version_quality_loss', '>', 'version_quality_loss', '1d', 'warning')
         + '\n' + threshold.enough('ml:labelled_rows:enough'),
    summary='Of two versions that serve together, one is clearly worse.',
    description='Measures in which two versions of model {{ $labels.model }} clearly differ: {{ $value }}. '
                + comparison.worst(
                  compared,
                  '1d',
                  'Most in {{ $worst.Labels.metric }}: versions {{ $worst.Labels.version }} and {{ $worst.Labels.peer }} are apart by at least {{ $worst.Value | humanizePercentage }}; the limit is '
                  + threshold.shown('version_quality_loss', '1d', 'warning', '$worst.Labels') + '. '
                )
                + 'First see which of the two is worse, and stop its roll-out.',
  );

local beyondGap(sign, end, clamp) =
  sign + '(\n  ml:calibration_gap_' + end + '\n  - on (model) group_left ()\n    max by (model) (' + clamp + '(ml:calibration_gap_usual, 0))\n) > 0';

local names = std.objectFields(measures);
local compared = [name for name in names if !isAlone(name)];
local group(config, title, names) = alert.group(config, 'ml-quality-' + title + '.rules', std.flattenArrays([levels(config, name) for name in names]));

{
  prometheusRules+:: {
    groups+: [
      group($._config, 'shares', ['accuracy', 'precision', 'recall', 'f1', 'roc_auc']),
      group($._config, 'macro', ['precision_macro', 'recall_macro', 'f1_macro', 'roc_auc_macro']),
      group($._config, 'errors', errors + ['log_loss', 'brier_score']),
      alert.group($._config, 'ml-quality-losses.rules', [loss($._config, name) for name in compared]),
      alert.group($._config, 'ml-quality-month.rules', [month($._config, name) for name in compared]),
      alert.group(
        $._config,
        'ml-quality-month-losses.rules',
        [loss($._config, name, 'ml:quality_month_loss', 'ml:previous_30d_') for name in compared]
      ),
      alert.group(
        $._config,
        'ml-quality-estimates.rules',
        std.flattenArrays([
          [level.level($._config, 'ml_estimated_' + name, worst=if isLow(name) then 'min' else 'max'), level.level($._config, 'ml_estimated_' + name + '_error')]
          for name in estimated
        ])
        + [level.level($._config, 'ml_estimated_bias', through='abs')]
        + [estimate($._config, name) for name in estimated]
      ),
      alert.group($._config, 'ml-quality-budget.rules', [
        errorRatio($._config, window[0], window[1])
        for window in [['5m', 300], ['30m', 1800], ['1h', 3600], ['6h', 21600]]
      ]),
      alert.group($._config, 'ml-quality-parts.rules', [
        level.level($._config, 'ml_calibration_gap_lower'),
        level.level($._config, 'ml_calibration_gap_upper', worst='min'),
        level.level($._config, 'ml_baseline_calibration_gap'),
        {
          // That of the reference; zero if it has none.
          record: 'ml:calibration_gap_usual',
          expr: 'max by (model) (ml:baseline_calibration_gap)\nor on (model)\n0 * max by (model) (ml:calibration_gap_lower)',
        },
        {
          // How far the interval is beyond both zero and the gap of the reference; zero if it is not.
          record: 'ml:calibration_gap_sure',
          expr: beyondGap('', 'lower', 'clamp_min') + '\nor\n' + beyondGap('-', 'upper', 'clamp_max') + '\nor\n0 * ml:calibration_gap_lower',
        },
        level.segments($._config, 'ml_accuracy', worst='min'),
        level.segments($._config, 'ml_accuracy_upper', worst='min'),
        {
          record: 'ml:segment_accuracy_gap',
          expr: '-(\n  ml:segment_accuracy_upper\n  - on (model, window) group_left ()\n    max by (model, window) (ml:accuracy)\n)',
        },
        level.level($._config, 'ml_version_quality_difference_lower'),
        level.level($._config, 'ml_version_quality_difference_upper', worst='min'),
        versionLoss,
      ]),
    ],
  },

  prometheusAlerts+:: {
    groups+: [
      alert.group(
        $._config,
        'ml-' + std.strReplace(name, '_', '-') + '.alerts',
        threshold.rules($._config, [name]) + [beyond($._config, name, severity) for severity in signals[name].severities]
      )
      for name in names
    ] + [
      alert.group(
        $._config,
        'ml-quality.alerts',
        threshold.rules($._config, ['calibration_gap', 'quality_baseline_loss', 'segment_accuracy_gap', 'version_quality_loss'])
        + [
          calibrationGap($._config),
          worse(
            $._config,
            'MLQualityBelowBaseline',
            'quality_baseline_loss',
            'outcome',
            'quality',
            'ml:labelled_rows:enough',
            'were clearly worse over one day than in the reference',
            'A model is clearly worse than in its reference.',
          ),
          segmentWorse($._config),
          versionWorse($._config),
        ]
      ),
      alert.group(
        $._config,
        'ml-quality-changes.alerts',
        threshold.rules($._config, ['quality_month_loss', 'estimated_quality_loss', 'error_budget_ratio'])
        + [
          worse(
            $._config,
            'MLQualityDropped',
            'quality_month_loss',
            'outcome',
            'quality',
            'ml:labelled_rows:enough',
            'were clearly worse over one day than over the 30 days before',
            'A model is clearly worse than in the 30 days before.',
          ),
          worse(
            $._config,
            'MLEstimatedQualityLow',
            'estimated_quality_loss',
            'diagnostic',
            'estimates',
            'ml:window_rows:enough',
            'are estimated clearly worse over one day than in the reference',
            'A model is estimated to be clearly worse than in its reference.',
            'An estimate, without labels. ',
          ),
        ]
        + [burning($._config, severity) for severity in ['warning', 'critical']]
      ),
    ],
  },
}
