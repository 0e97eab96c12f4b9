// One model: what its users get first, then what may explain it. Lines drawn as limits are the series that the alerts compare with.
local duration = import '../rules/lib/duration.libsonnet';
local level = import '../rules/lib/level.libsonnet';
local metric = import '../rules/lib/metric.libsonnet';
local threshold = import '../rules/lib/threshold.libsonnet';
local panel = import 'lib/panel.libsonnet';

local t = panel.target;
local selected(series, labels={}) =
  series + '{' + std.join(',', ['model="$model"'] + [key + '="' + labels[key] + '"' for key in std.objectFields(labels)]) + '}';

// A recorded level, a metric that is recorded nowhere, and a limit.
local recorded(name, labels={}) = selected(level.name(name), labels);
local raw(name, by, labels={}, worst='max') =
  worst + (if by == [] then '' else ' by (' + std.join(', ', by) + ')') + ' (' + metric.metric(name, { model: '$model' } + labels) + ')';
local reference(name, by) = raw(name, by, { baseline: 'reference' });
local limitOf(signal, window, severity) = std.strReplace(threshold.series(signal, window, severity), '}', ',model="$model"}');
local limit(signal, window, severity) = t('max (' + limitOf(signal, window, severity) + ')', severity + ' limit');
local lowestLimit(signal, window, severity) = t('min (' + limitOf(signal, window, severity) + ')', severity + ' limit (lowest)');
local atLeast(signal, window) = t('max (' + limitOf(signal, window, 'guard') + ')', 'at least, ' + window);

local limitsOf(signal, window, severities, of='') =
  [t('max (' + limitOf(signal, window, severity) + ')', severity + ' limit' + of) for severity in severities];
local distances = ['feature_js_distance', 'feature_ks_statistic', 'feature_wasserstein'];
local macros = ['precision_macro', 'recall_macro', 'f1_macro'];

local measure(name, windows) = [t(recorded(name, { window: window }), window) for window in windows];
local interval(name, window, worst='max') = [
  t(raw('ml_' + name + '_upper', [], { window: window }, worst), 'upper 95 %'),
  t(raw('ml_' + name + '_lower', [], { window: window }, worst), 'lower 95 %'),
];

local outcome(config) = {
  title: 'Outcome: what the users of the model get',
  panels: [
    panel.stat(
      'Accuracy, one day',
      'Share of labelled predictions that were right, over the last day whose labels have matured. Bad: near or below the limits in the panel below.',
      'percentunit',
      t(recorded('ml_accuracy', { window: '1d' }), '1d')
    ),
    panel.stat(
      'Slower than agreed, last hour',
      'Share of predictions above the latency limit of the model. Bad: more than a few percent.',
      'percentunit',
      t(recorded('ml_window_latency_over_limit_ratio', { window: '1h' }), '1h')
    ),
    panel.stat(
      'Default answers, last hour',
      'Share of requests answered without the model. Bad: anything that lasts.',
      'percentunit',
      t(recorded('ml_prediction_fallback_ratio', { window: '1h' }), '1h')
    ),
    panel.stat(
      'Predictions, last hour',
      'Predictions in the last hour. Bad: far from what the same hour had yesterday. Below the guard in "Rows" the alerts are silent.',
      'short',
      t(recorded('ml_window_rows', { window: '1h' }), '1h')
    ),
    panel.timeline(
      'Firing alerts',
      'Every alert of this model, while it fires. Read it from the top of the page downwards: causes that began before an outcome may explain it.',
      t('max by (alertname, severity, feature) (ALERTS{alertname=~"ML.+",alertstate="firing",model="$model"})', '{{alertname}} {{feature}} ({{severity}})')
    ),
    panel.timeseries(
      'Accuracy',
      'Share of labelled predictions that were right, with its 95 % interval for one day. Bad: the whole interval below a limit. '
      + 'The windows end when their labels have matured, so a change shows late.',
      'percentunit',
      measure('ml_accuracy', ['1d', '2h'])
      + interval('accuracy', '1d', 'min')
      + [
        t(reference('ml_baseline_accuracy', []), 'reference'),
        limit('accuracy', '1d', 'warning'),
        limit('accuracy', '1d', 'critical'),
      ]
    ),
    panel.timeseries(
      'ROC AUC',
      'How well the scores order positives above negatives: 1 is perfect, 0.5 a coin. Bad: the whole interval below the limit. '
      + 'Empty while a window has fewer than 100 labels of either class for an interval.',
      'none',
      measure('ml_roc_auc', ['1d'])
      + interval('roc_auc', '1d', 'min')
      + [t(reference('ml_baseline_roc_auc', []), 'reference'), limit('roc_auc', '1d', 'warning')]
    ),
    panel.timeseries(
      'Precision, recall and F1, one day',
      'Of the predicted positives, how many were right (precision); of the actual ones, how many were found (recall). Bad: one falls while the other stays, '
      + 'which points to the decision threshold or the share of the classes.',
      'percentunit',
      [t(recorded('ml_' + name, { window: '1d' }), name) for name in ['precision', 'recall', 'f1']]
      + limitsOf('precision', '1d', ['warning', 'critical'], ' of precision')
      + limitsOf('recall', '1d', ['warning', 'critical'], ' of recall')
      + limitsOf('f1', '1d', ['warning'], ' of F1')
    ),
    panel.timeseries(
      'Macro averages, one day',
      'Means over the classes. Bad: below a limit, if one is set, by more than few labels explain.',
      'percentunit',
      [t(recorded('ml_' + name, { window: '1d' }), name) for name in macros]
      + std.flattenArrays([limitsOf(name, '1d', ['warning'], ' of ' + name) for name in macros])
    ),
    panel.timeseries(
      'Mean absolute error',
      'How far predictions of a regression are from the labels, in their unit, with the 95 % interval of one day. Bad: the whole interval above a limit.',
      'none',
      measure('ml_mean_absolute_error', ['1d', '2h'])
      + interval('mean_absolute_error', '1d')
      + [t(reference('ml_baseline_mean_absolute_error', []), 'reference')]
      + limitsOf('mean_absolute_error', '1d', ['warning', 'critical'])
    ),
    panel.timeseries(
      'Root mean squared error',
      'The same, with large errors weighing more. Bad: the whole interval above a limit, if one is set, or a rise that the panel before does not have.',
      'none',
      measure('ml_root_mean_squared_error', ['1d', '2h'])
      + interval('root_mean_squared_error', '1d')
      + [t(reference('ml_baseline_root_mean_squared_error', []), 'reference')]
      + limitsOf('root_mean_squared_error', '1d', ['warning', 'critical'])
    ),
    panel.timeseries(
      'Clearly worse than the reference, one day',
      'By how much the better end of the interval of each measure is worse than the reference. Bad: above the limit. Below zero is not clearly worse.',
      'percentunit',
      [t(selected('ml:quality_baseline_loss', { window: '1d' }), '{{measure}}'), limit('quality_baseline_loss', '1d', 'warning')]
    ),
    panel.timeseries(
      'Clearly worse than the month before, one day',
      'The same against the 30 days before the day. Bad: above the limit.',
      'percentunit',
      [t(selected('ml:quality_month_loss', { window: '1d' }), '{{measure}}'), limit('quality_month_loss', '1d', 'warning')]
    ),
    panel.timeseries(
      'Estimated to be worse than the reference, one day',
      'What the scores alone say, without labels, at the better end of the error of the estimate. Bad: above the limit. It cannot see that the world changed.',
      'percentunit',
      [t(selected('ml:estimated_quality_loss', { window: '1d' }), '{{measure}}'), limit('estimated_quality_loss', '1d', 'warning')]
    ),
    panel.timeseries(
      'Wrong answers by the clock',
      'Share of wrong answers among the predictions that were labelled lately. Bad: many times the budget, where one is agreed on.',
      'percentunit',
      [t(selected('ml:labelled_error_ratio:' + window), window) for window in ['5m', '1h', '6h']]
      + [t('max (%s)' % limitOf('error_budget_ratio', '', severity), severity + ' limit (budget)') for severity in ['warning', 'critical']]
    ),
    panel.timeseries(
      'Segments below the model, one day',
      'By how many points the upper end of the interval of a segment is below the accuracy of the model. Bad: above the limit; a segment may have its own.',
      'percentunit',
      [
        t(selected('ml:segment_accuracy_gap', { window: '1d' }), '{{segment_by}} {{segment}}'),
        lowestLimit('segment_accuracy_gap', '1d', 'warning'),
      ]
    ),
    panel.timeseries(
      'Versions that differ, one day',
      'By how much two versions that serve together are at least apart. Bad: above the limit; see which of the two is worse.',
      'percentunit',
      [t(selected('ml:version_quality_loss', { window: '1d' }), '{{metric}} {{version}} / {{peer}}'), limit('version_quality_loss', '1d', 'warning')]
    ),
    panel.timeseries(
      'Calibration gap',
      'Mean score minus share of actual positives, with its 95 % interval. Bad: an interval that leaves 0 behind; the scores are then too high (above) or too low.',
      'percentunit',
      [t(raw('ml_calibration_gap', [], { window: '1d' }), '1d')]
      + interval('calibration_gap', '1d')
      + [t(reference('ml_baseline_calibration_gap', []), 'reference'), limit('calibration_gap', '1d', 'warning')],
      width=12
    ),
    panel.timeseries(
      'Log loss',
      'Mean negative log likelihood of the labels, lower is better. Bad: above the reference for days.',
      'none',
      [t(raw('ml_log_loss', [], { window: '1d' }), '1d')]
      + interval('log_loss', '1d')
      + [t(reference('ml_baseline_log_loss', []), 'reference')],
      width=12
    ),
  ],
};

local byFeature(name, window) = [t(raw(name, ['feature'], { window: window }), '{{feature}}')];

local data(config) = {
  title: 'Data: what the model is given',
  panels: [
    panel.timeseries(
      'Rows',
      'Predictions in the window. Bad: below "at least" (alerts are silent there), or far from the same hour of other days.',
      'short',
      [t(recorded('ml_window_rows', { window: window }), window) for window in ['1h', '1d']]
      + [atLeast('window_rows', '1h'), atLeast('window_rows', '1d')]
    ),
    panel.timeseries(
      'Nulls above the reference, one hour',
      'Share of nulls of each feature minus its share in the reference. Bad: above a limit and above the noise floor of the feature; '
      + 'several features at once share an upstream. A feature may have a higher limit of its own. With a noise floor of 100 % its nulls come in runs, and an hour cannot tell.',
      'percentunit',
      [t(selected('ml:feature_null_excess_ratio', { window: '1h' }), '{{feature}}')]
      + [t('clamp_max(%s, 1)' % recorded('ml_feature_null_critical_ratio', { window: '1h' }), 'noise floor {{feature}}')]
      + [lowestLimit('feature_null_excess_ratio', '1h', severity) for severity in ['warning', 'critical']]
    ),
    panel.timeseries(
      'Invalid values above the reference, one hour',
      'Share of rows in which the feature cannot be read as what it should be. Bad: above a limit: an upstream changed its format.',
      'percentunit',
      [t(selected('ml:feature_invalid_excess_ratio', { window: '1h' }), '{{feature}}')]
      + [lowestLimit('feature_invalid_excess_ratio', '1h', severity) for severity in ['warning', 'critical']]
    ),
    panel.timeseries(
      'Values out of range above the reference, one hour',
      'Share of valid values outside the configured range. Bad: a jump, which often means another unit.',
      'percentunit',
      [t(selected('ml:feature_out_of_range_excess_ratio', { window: '1h' }), '{{feature}}')]
      + [lowestLimit('feature_out_of_range_excess_ratio', '1h', severity) for severity in ['warning']]
    ),
    panel.timeseries(
      'Unseen categories above the reference, one hour',
      'Share of valid values that the reference does not know. Bad: a jump after a release upstream; a slow rise means that the reference is old.',
      'percentunit',
      [t(selected('ml:feature_unseen_category_excess_ratio', { window: '1h' }), '{{feature}}')]
      + [lowestLimit('feature_unseen_category_excess_ratio', '1h', severity) for severity in ['warning']]
    ),
    panel.timeseries(
      'Schema violations',
      'Violations by kind, above their share of the predictions in the week before. Bad: above a limit: the service that writes the log changed it.',
      'percentunit',
      [t(selected('ml:schema_violation_excess_ratio'), '{{kind}}')] + limitsOf('schema_violation_excess_ratio', '', ['warning', 'critical'])
    ),
    panel.timeseries(
      'Drop of the volume, one hour',
      'By how much the predictions of the hour are fewer than in the same hour of yesterday and of last week. Bad: above a limit.',
      'percentunit',
      [t(selected('ml:volume_drop_ratio', { window: '1h' }), '1h')] + limitsOf('volume_drop_ratio', '1h', ['warning', 'critical'])
    ),
    panel.timeseries(
      'Surge of the volume, one hour',
      'How many times the predictions of the same hour of yesterday and of last week there are. Bad: above the limit.',
      'none',
      [t(selected('ml:volume_surge_factor', { window: '1h' }), '1h'), limit('volume_surge_factor', '1h', 'warning')]
    ),
    panel.timeseries(
      'Mean shift, one day',
      'Distance of the mean of each feature to its reference mean, in robust standard deviations. Bad: above the limit. '
      + 'The alert also asks for more than the reference shows by itself.',
      'none',
      [t(recorded('ml_feature_mean_shift_sigmas', { window: '1d' }), '{{feature}}'), lowestLimit('feature_mean_shift_sigmas', '1d', 'warning')]
    ),
    panel.timeseries(
      'PSI, one day',
      'How differently each feature is distributed than in the reference. Bad: above the limit and, in the next panel, above 1. '
      + 'A feature may have a higher limit of its own.',
      'none',
      [t(recorded('ml_feature_psi', { window: '1d' }), '{{feature}}'), lowestLimit('feature_psi', '1d', 'warning')],
      width=12
    ),
    panel.timeseries(
      'PSI in multiples of the noise floor, one day',
      'PSI divided by what the feature exceeds only by chance without any drift, learned from the reference. Bad: above 1. The alert needs both panels.',
      'none',
      [
        t(
          '%s / on (model, feature) %s' % [recorded('ml_feature_psi', { window: '1d' }), recorded('ml_feature_psi_critical', { window: '1d' })],
          '{{feature}}'
        ),
        t('vector(1)', 'noise floor'),
      ],
      width=12
    ),
  ],
};

local predictions(config) = {
  title: 'Predictions: what the model answers',
  panels: [
    panel.timeseries(
      'Class shares, one day',
      'Share of each predicted class. Bad: far from the reference without a reason in the business.',
      'percentunit',
      [
        t(recorded('ml_prediction_class_ratio', { window: '1d' }), '{{class}}'),
        t(recorded('ml_prediction_baseline_class_ratio'), 'reference {{class}}'),
      ]
    ),
    panel.timeseries(
      'Shift of class shares, one day',
      'Difference of each class share to the reference. Bad: at the limit or above, if the next panel shows that it is more than noise.',
      'percentunit',
      [
        t(selected('ml:prediction_class_shift_ratio', { window: '1d' }), '{{class}}'),
        limit('prediction_class_shift_ratio', '1d', 'warning'),
      ]
    ),
    panel.timeseries(
      'Shift of class shares in standard errors, one day',
      'The same in standard errors of the reference\'s own days. Bad: above the noise floor.',
      'none',
      [
        t(recorded('ml_prediction_class_shift_sigmas', { window: '1d' }), '{{class}}'),
        t(recorded('ml_prediction_class_shift_critical_sigmas', { window: '1d' }), 'noise floor {{class}}'),
      ]
    ),
    panel.timeseries(
      'PSI of the scores, one day',
      'How differently the scores are distributed than in the reference. Bad: above the noise floor, and above 0.2.',
      'none',
      [
        t(recorded('ml_prediction_psi', { window: '1d' }), '1d'),
        t(recorded('ml_prediction_psi_critical', { window: '1d' }), 'noise floor'),
        limit('prediction_psi', '1d', 'warning'),
      ]
    ),
    panel.timeseries(
      'Outliers above the reference, one day',
      'Share of rows that the reference does not know, above its own share. Bad: above the limit and the noise floor.',
      'percentunit',
      [
        t(selected('ml:prediction_outlier_excess_ratio', { window: '1d' }), '1d'),
        t(recorded('ml_prediction_outlier_critical_ratio', { window: '1d' }), 'noise floor'),
        limit('prediction_outlier_excess_ratio', '1d', 'warning'),
      ]
    ),
    panel.timeseries(
      'Equal answers above the reference, one day',
      'Share of pairs of predictions with the same answer, above that of the reference. Bad: above the limit and the noise floor: the model is frozen.',
      'percentunit',
      [
        t(selected('ml:prediction_concentration_excess_ratio', { window: '1d' }), '1d'),
        t(recorded('ml_prediction_concentration_critical_ratio', { window: '1d' }), 'noise floor'),
        limit('prediction_concentration_excess_ratio', '1d', 'warning'),
      ]
    ),
    panel.timeseries(
      'Multivariate drift, one day',
      'How much worse the features go together than in the reference, in standard deviations. Bad: above the limit and the noise floor.',
      'none',
      [
        t(recorded('ml_multivariate_drift', { window: '1d' }), '1d'),
        t(recorded('ml_multivariate_drift_critical', { window: '1d' }), 'noise floor'),
        limit('multivariate_drift', '1d', 'warning'),
      ]
    ),
    panel.timeseries(
      'Distances that were asked for, one day',
      'Jensen-Shannon, Kolmogorov-Smirnov and Wasserstein, where the configuration asks for them. Bad: above the limit of the distance and its noise floor.',
      'none',
      [t(recorded('ml_' + name, { window: '1d' }), name + ' {{feature}}') for name in distances]
      + std.flattenArrays([limitsOf(name, '1d', ['warning'], ' of ' + name) for name in distances])
    ),
    panel.timeseries(
      'Mean shift of the predictions, one day',
      'For a regression: distance of the mean prediction to that of the reference, in robust standard deviations. Bad: above the limit and the noise floor.',
      'none',
      [
        t(recorded('ml_prediction_mean_shift_sigmas', { window: '1d' }), '1d'),
        t(recorded('ml_prediction_mean_shift_critical_sigmas', { window: '1d' }), 'noise floor'),
        limit('prediction_mean_shift_sigmas', '1d', 'warning'),
      ]
    ),
    panel.timeseries(
      'Errors',
      'Share of requests that failed. Bad: above a limit.',
      'percentunit',
      measure('ml_prediction_error_ratio', ['1h', '5m']) + limitsOf('prediction_error_ratio', '1h', ['warning', 'critical'])
    ),
    panel.timeseries(
      'Default answers',
      'Share of requests answered without the model. Bad: above a limit.',
      'percentunit',
      [t(recorded('ml_prediction_fallback_ratio', { window: window }), 'default answers, ' + window) for window in ['1h', '5m']]
      + limitsOf('prediction_fallback_ratio', '1h', ['warning', 'critical'])
    ),
    panel.timeseries(
      'Confidence',
      'Mean probability of the predicted class. Bad: a step without a new version. Lower means inputs that the model does not know.',
      'percentunit',
      [t(raw('ml_prediction_confidence_mean', [], { window: window }), window) for window in ['1h', '1d']]
    ),
  ],
};

local latency(config) = {
  title: 'Latency',
  panels: [
    panel.timeseries(
      'Slower than agreed',
      'Share of predictions above the latency limit of the model. Bad: the hour above the limit. A page ends when the five minutes are below it.',
      'percentunit',
      measure('ml_window_latency_over_limit_ratio', ['1h', '5m']) + [limit('window_latency_over_limit_ratio', '1h', 'critical')]
    ),
    panel.timeseries(
      'Quantiles, one hour',
      'Latency below which the given share of predictions lies. Bad: 0.99 above the limit. If 0.5 moved too, everything is slow.',
      's',
      [t(recorded('ml_window_latency_seconds', { window: '1h' }), '{{q}}'), limit('window_latency_seconds', '1h', 'warning')]
    ),
    panel.heatmap(
      'Distribution',
      'Predictions a second in each latency bucket, when they were read. Bad: a second band above the usual one. After an outage of the exporter it jumps once.',
      's',
      t('sum by (le) (rate(%s[$__rate_interval]))' % metric.suffixed('ml_prediction_latency_seconds', '_bucket', { model: '$model' }), '{{le}}')
    ),
  ],
};

local labels(config) = {
  title: 'Labels and freshness: how far the numbers above can be trusted',
  panels: [
    panel.timeseries(
      'Label coverage, one day',
      'Share of predictions that have a label, once labels are due. Bad: lower than usual: accuracy is then measured on a part that may not be typical.',
      'percentunit',
      [t(recorded('ml_label_coverage_ratio', { window: '1d' }), '1d'), limit('label_coverage_ratio', '1d', 'warning')]
    ),
    panel.timeseries(
      'Labelled against unlabelled, one day',
      'PSI between the scores of predictions with a label and without. Bad: above the limit and what chance gives: quality is measured on a part that is not typical.',
      'none',
      [
        t(recorded('ml_label_selection_psi', { window: '1d' }), '1d'),
        t(recorded('ml_label_selection_psi_critical', { window: '1d' }), 'noise floor'),
        limit('label_selection_psi', '1d', 'warning'),
      ]
    ),
    panel.timeseries(
      'Age of the baseline',
      'How long before the newest prediction the reference data ended. Bad: above the limit, or older than the training of the model.',
      's',
      [t(selected('ml:baseline_age_seconds'), 'age'), limit('baseline_age_seconds', '', 'warning')]
    ),
    panel.timeseries(
      'Labelled rows',
      'Labelled predictions in the windows that accuracy is computed on. Bad: below "at least"; the alerts on performance are silent there.',
      'short',
      measure('ml_labelled_rows', ['1d', '2h']) + [atLeast('labelled_rows', '1d'), atLeast('labelled_rows', '2h')]
    ),
    panel.timeseries(
      'Label delay',
      'Time from prediction to label, of the labels that came in. Bad: longer than usual: the windows of accuracy are then not complete.',
      's',
      [
        t(
          'histogram_quantile(%s, sum by (le) (rate(%s[$__rate_interval])))'
          % [q, metric.suffixed('ml_label_delay_seconds', '_bucket', { model: '$model' })],
          q
        )
        for q in ['0.5', '0.95']
      ]
    ),
    panel.timeseries(
      'Labels read',
      'Labels a second by what became of them. Bad: `orphan`, `late` or `invalid` in place of `matched`: ids or formats changed.',
      'ops',
      [t('sum by (status) (rate(%s[$__rate_interval]))' % metric.metric('ml_labels_total', { model: '$model' }), '{{status}}')],
      width=12
    ),
    panel.timeseries(
      'Age of the newest data',
      'How long ago the newest prediction and label were made, and the last hour ended. Bad: rising in a straight line: nothing arrives.',
      's',
      [
        t('time() - ' + raw('ml_last_prediction_timestamp_seconds', []), 'prediction'),
        t(selected('ml:label_age_seconds'), 'label'),
        limit('label_age_seconds', '', 'warning'),
        t('time() - ' + raw('ml_window_end_timestamp_seconds', [], { window: '1h' }), 'end of the last hour'),
      ],
      width=12
    ),
  ],
};

local variables = [
  { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus', refresh: 1 },
  {
    name: 'model',
    label: 'Model',
    type: 'query',
    datasource: panel.datasource,
    query: { query: 'label_values(%s, model)' % metric.metric('ml_model_info'), refId: 'model' },
    refresh: 2,
    sort: 1,
  },
];

local newVersion(config) =
  local version = metric.metric('ml_model_version_info', { model: '$model' });
  {
    name: 'New version',
    datasource: panel.datasource,
    enable: true,
    iconColor: 'blue',
    expr: 'group by (version) (%s) unless group by (version) (%s offset %s)' % [version, version, duration.text(config, 300)],
    step: '60s',
    titleFormat: 'Version {{version}}',
  };

{
  grafanaDashboards+:: {
    [$._config.dashboardUid + '.json']: {
      uid: $._config.dashboardUid,
      title: 'ML model',
      description: 'One model: its outcome, then its data, predictions, latency and labels.',
      tags: ['ml-exporter'],
      schemaVersion: 36,
      editable: false,
      timezone: 'utc',
      refresh: '1m',
      time: { from: 'now-24h', to: 'now' },
      graphTooltip: 1,
      templating: { list: variables },
      annotations: { list: [newVersion($._config)] },
      links: [
        { type: 'dashboards', title: 'ML dashboards', tags: ['ml-exporter'], asDropdown: true, includeVars: true, keepTime: true, targetBlank: false },
        {
          type: 'link',
          title: 'Runbooks',
          url: std.rstripChars(std.splitLimit($._config.runbookURLPattern, '%s', 1)[0], '/'),
          icon: 'doc',
          targetBlank: true,
        },
      ],
      panels: panel.layout([section($._config) for section in [outcome, data, predictions, latency, labels]]),
    },
  },
}
