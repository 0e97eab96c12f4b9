// Labels and quality of one model: what was realised beside what was estimated, and how far both can be trusted.
local board = import 'lib/board.libsonnet';
local link = import 'lib/link.libsonnet';
local panel = import 'lib/panel.libsonnet';
local query = import 'lib/query.libsonnet';

local t = query.target;
local recorded = query.recorded;
local selected = query.selected;
local day(name, labels={}) = recorded(name, { window: '1d' } + labels);
local segment = ['segment_by=~"$segment_by"', 'segment=~"$segment"'];
local macros = ['precision_macro', 'recall_macro', 'f1_macro', 'roc_auc_macro'];

// One measure: realised with its interval, estimated with its error, the reference, and its limits.
local realised(title, name, what, unit, severities, low=true, extra='', estimated=true, windows=['1d', '2h'], more=[], width=8) =
  local worst = if low then 'min' else 'max';
  panel.timeseries(
    title,
    what + ' With its 95 % interval' + (if estimated then ', beside what the scores alone lead to expect' else '') + '. '
    + (if severities == [] then 'Bad: the whole interval beyond the reference.' else 'Bad: the whole interval %s a limit.' % (if low then 'below' else 'above')) + extra,
    unit,
    [t(if severities == [] then query.raw('ml_' + name, [], { window: window }, worst) else recorded('ml_' + name, { window: window }), window) for window in windows]
    + query.interval(name, '1d', worst)
    + (if estimated then query.estimate(name, '1d', worst, low || name == 'brier_score') else [])
    + [query.reference('ml_baseline_' + name)]
    + query.limits(name, '1d', severities)
    + more,
    width
  );

local trust = {
  title: 'Can the numbers below be trusted',
  panels: [
    panel.stat(
      'Label coverage now',
      'Share of predictions that have a label, once labels are due. Bad: lower than usual: quality is then measured on a part that may not be typical.',
      'percentunit',
      t(day('ml_label_coverage_ratio'), '1d')
    ),
    panel.stat(
      'Labelled predictions, one day',
      'Labelled predictions that the quality of the last matured day is computed on. Bad: below "at least" in the panel of labelled rows: the alerts are silent there.',
      'short',
      t(day('ml_labelled_rows'), '1d')
    ),
    panel.stat(
      'Newest label',
      'How long ago the newest label was made. Bad: above the limit in the panel below: quality is not known since.',
      's',
      t(selected('ml:label_age_seconds'), 'label')
    ),
    panel.stat(
      'Age of the baseline now',
      'How long before the newest prediction the reference data ended. Bad: above the limit in the panel below, or older than the training of the model.',
      's',
      t(selected('ml:baseline_age_seconds'), 'baseline')
    ),
  ],
};

local classifiers = {
  title: 'Classifiers: realised beside estimated, one day (empty for a regression)',
  panels: [
    realised('Accuracy', 'accuracy', 'Share of labelled predictions that were right.', 'percentunit', ['warning', 'critical'], more=query.control('accuracy'), width=12),
    realised(
      'ROC AUC',
      'roc_auc',
      'How well the scores order positives above negatives: 1 is perfect, 0.5 a coin.',
      'none',
      ['warning'],
      extra=' Empty while a window has fewer than 100 labels of either class for an interval.',
      windows=['1d'],
      width=12
    ),
    realised('Precision', 'precision', 'Of the predicted positives, how many were right.', 'percentunit', ['warning', 'critical'], extra=' If recall stays, look at the decision threshold and the share of the classes.', windows=['1d']),
    realised('Recall', 'recall', 'Of the actual positives, how many were found.', 'percentunit', ['warning', 'critical'], extra=' If precision stays, look at the decision threshold and the share of the classes.', windows=['1d']),
    realised('F1', 'f1', 'Precision and recall in one number.', 'percentunit', ['warning'], windows=['1d']),
    realised('Log loss', 'log_loss', 'Mean negative log likelihood of the labels, lower is better.', 'none', ['warning'], low=false, windows=['1d']),
    realised('Brier score', 'brier_score', 'Mean squared distance of scores and labels, lower is better.', 'none', ['warning'], low=false, windows=['1d']),
    panel.timeseries(
      'Macro averages',
      'Means over the classes. Bad: below a limit, if one is set, by more than few labels explain.',
      'percentunit',
      [t(day('ml_' + name), name) for name in macros]
      + std.flattenArrays([query.limits(name, '1d', ['warning'], ' of ' + name) for name in macros])
    ),
  ],
};

local regressions = {
  title: 'Regressions: realised beside estimated, one day (empty for a classifier)',
  panels: [
    realised('Mean absolute error', 'mean_absolute_error', 'How far predictions of a regression are from the labels, in their unit.', 'none', ['warning', 'critical'], low=false),
    realised('Root mean squared error', 'root_mean_squared_error', 'The same, with large errors weighing more.', 'none', ['warning', 'critical'], low=false, estimated=false),
    realised('Mean error', 'mean_error', 'Label minus prediction of a regression: above 0 it predicts too little.', 'none', [], estimated=false, windows=['1d']),
  ],
};

local compared = {
  title: 'Against the reference, the month before, segments and versions, one day',
  panels: [
    panel.timeseries(
      'Clearly worse than the reference',
      'By how much the better end of the interval of each measure is worse than the reference. Bad: above the limit. Below zero is not clearly worse.',
      'percentunit',
      [t(selected('ml:quality_baseline_loss', { window: '1d' }), '{{measure}}'), query.limit('quality_baseline_loss', '1d', 'warning')]
    ),
    panel.timeseries(
      'Clearly worse than the month before',
      'The same against the 30 days before the day. Bad: above the limit.',
      'percentunit',
      [t(selected('ml:quality_month_loss', { window: '1d' }), '{{measure}}'), query.limit('quality_month_loss', '1d', 'warning')]
    ),
    panel.timeseries(
      'Estimated to be worse than the reference',
      'What the scores alone say, without labels, at the better end of the error of the estimate. Bad: above the limit. It cannot see that the world changed.',
      'percentunit',
      [t(selected('ml:estimated_quality_loss', { window: '1d' }), '{{measure}}'), query.limit('estimated_quality_loss', '1d', 'warning')]
    ),
    panel.timeseries(
      'Bias of the estimates',
      'Realised minus estimated quality of the last matured window. Bad: far from 0: the estimates are wrong now, and their alert is silent.',
      'none',
      [t('max by (metric) (%s)' % recorded('ml_estimated_bias', { window: '1d' }), '{{metric}}')]
    ),
    panel.timeseries(
      'Segments below the model',
      'By how many points the upper end of the interval of a segment is below the accuracy of the model. Bad: above the limit; a segment may have its own.',
      'percentunit',
      [
        t(selected('ml:segment_accuracy_gap', { window: '1d' }, segment), '{{segment_by}} {{segment}}'),
        query.lowestLimit('segment_accuracy_gap', '1d', 'warning'),
      ]
    ),
    panel.timeseries(
      'Labelled predictions by segment',
      'Labelled predictions in each segment. Bad: below "at least": its accuracy says little there, and its alert is silent.',
      'short',
      [
        t(selected('ml:segment_labelled_rows', { window: '1d' }, segment), '{{segment_by}} {{segment}}'),
        t('max (%s)' % query.limitOf('segment_labelled_rows', '1d', 'guard'), 'at least'),
      ]
    ),
    panel.timeseries(
      'Versions that differ',
      'By how much two versions that serve together are at least apart. Bad: above the limit; see which of the two is worse.',
      'percentunit',
      [t(selected('ml:version_quality_loss', { window: '1d' }), '{{metric}} {{version}} / {{peer}}'), query.limit('version_quality_loss', '1d', 'warning')]
    ),
    panel.timeseries(
      'Scores of versions that serve together',
      'PSI between the scores of two versions, over the time in which both served. Bad: above the noise floor: they answer differently, which may be what the new one is for.',
      'none',
      [
        t(query.raw('ml_version_prediction_psi', ['version', 'peer'], { window: '1d' }), '{{version}} / {{peer}}'),
        t(query.raw('ml_version_prediction_psi_critical', ['version', 'peer'], { window: '1d' }), 'noise floor {{version}} / {{peer}}'),
      ]
    ),
    panel.timeseries(
      'Classes of versions that serve together',
      'Share of each class minus that of the other version, in standard errors. Bad: beyond 3 in a class that should be the same.',
      'none',
      [t(query.raw('ml_version_class_shift_sigmas', ['version', 'peer', 'class'], { window: '1d' }), '{{class}} {{version}} / {{peer}}')]
    ),
  ],
};

local calibration = {
  title: 'Calibration and error budget',
  panels: [
    panel.timeseries(
      'Calibration gap, one day',
      'Mean score minus share of actual positives, with its 95 % interval. Bad: an interval that leaves 0 behind; the scores are then too high (above) or too low.',
      'percentunit',
      [t(query.raw('ml_calibration_gap', [], { window: '1d' }), '1d')]
      + query.interval('calibration_gap', '1d')
      + [query.reference('ml_baseline_calibration_gap'), query.limit('calibration_gap', '1d', 'warning')],
      width=12
    ),
    panel.timeseries(
      'Wrong answers by the clock',
      'Share of wrong answers among the predictions that were labelled lately. Bad: many times the budget, where one is agreed on.',
      'percentunit',
      [t(selected('ml:labelled_error_ratio:' + window), window) for window in ['5m', '1h', '6h']]
      + [query.limit('error_budget_ratio', '', severity, ' (budget)') for severity in ['warning', 'critical']],
      width=12
    ),
  ],
};

local labels = {
  title: 'Labels: coverage, delay, selection',
  panels: [
    panel.timeseries(
      'Label coverage, one day',
      'Share of predictions that have a label, once labels are due. Bad: below the limit or lower than usual.',
      'percentunit',
      [t(day('ml_label_coverage_ratio'), '1d'), query.limit('label_coverage_ratio', '1d', 'warning'), t('max (%s)' % query.limitOf('label_selection_coverage_ratio', '1d', 'guard'), 'at least, for the selection not to matter')]
    ),
    panel.timeseries(
      'Labelled against unlabelled, one day',
      'PSI between the scores of predictions with a label and without. Bad: above the limit and the noise floor, where few have a label: quality is measured on a part that is not typical.',
      'none',
      [
        t(day('ml_label_selection_psi'), '1d'),
        t(day('ml_label_selection_psi_critical'), 'noise floor'),
        query.limit('label_selection_psi', '1d', 'warning'),
      ]
    ),
    panel.timeseries(
      'Labelled rows',
      'Labelled predictions in the windows that quality is computed on. Bad: below "at least"; the alerts on performance are silent there.',
      'short',
      query.measure('ml_labelled_rows', ['1d', '2h']) + [query.atLeast('labelled_rows', '1d'), query.atLeast('labelled_rows', '2h')]
    ),
    panel.timeseries(
      'Label delay',
      'Time from prediction to label, of the labels that came in. Bad: longer than usual: the windows of quality are then not complete.',
      's',
      [
        t(
          'histogram_quantile(%s, sum by (le) (rate(%s[$__rate_interval])))'
          % [q, query.metric.suffixed('ml_label_delay_seconds', '_bucket', { model: '$model' })],
          q
        )
        for q in ['0.5', '0.95']
      ]
    ),
    panel.timeseries(
      'Labels read',
      'Labels a second by what became of them. Bad: `orphan`, `late` or `invalid` in place of `matched`: ids or formats changed.',
      'ops',
      [t('sum by (status) (rate(%s[$__rate_interval]))' % query.metric.metric('ml_labels_total', { model: '$model' }), '{{status}}')]
    ),
    panel.timeseries(
      'Waiting for their other half',
      'Predictions that wait for a label, and labels that wait for their prediction. Bad: rising without an end, or labels that wait: ids do not match.',
      'short',
      [t('sum by (side) (%s)' % query.metric.metric('ml_exporter_join_pending_rows', { model: '$model' }), '{{side}}')]
    ),
    panel.timeseries(
      'Age of the newest label',
      'How long ago the newest label was made. Bad: above the limit, in a straight line: the job that writes labels does not run.',
      's',
      [t(selected('ml:label_age_seconds'), 'label'), query.limit('label_age_seconds', '', 'warning')],
      width=12
    ),
    panel.timeseries(
      'Age of the baseline',
      'How long before the newest prediction the reference data ended. Bad: above the limit, or older than the training of the model.',
      's',
      [t(selected('ml:baseline_age_seconds'), 'age'), query.limit('baseline_age_seconds', '', 'warning')],
      width=12
    ),
  ],
};

{
  grafanaDashboards+:: {
    local uids = $._config.dashboardUids,
    [$._config.dashboardUids.labels + '.json']: board.board($._config, {
      uid: uids.labels,
      title: 'ML labels and quality',
      description: 'One model: quality realised beside estimated, and the labels behind it.',
      from: 'now-7d',
      variables: [
        board.one('model', 'Model', 'ml_model_info'),
        board.several('segment_by', 'Segmented by', 'ml_labelled_rows{model="$model",segment_by!=""}'),
        board.several('segment', 'Segment', 'ml_labelled_rows{model="$model",segment_by=~"$segment_by",segment!=""}'),
      ],
      annotations: [board.newVersion($._config, 'model="$model"')] + board.firing('model="$model",family=~"quality|labels|baseline|segments|versions"'),
      ofModel: true,
      page: '&page=labels',
      onward: [link.to(uids.model, 'Open the model')],
      rows: [trust, classifiers, regressions, compared, calibration, labels],
    }),
  },
}
