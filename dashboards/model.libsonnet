// One model: what its users get first, then what may explain it. Lines drawn as limits are the series that the alerts compare with.
local board = import 'lib/board.libsonnet';
local link = import 'lib/link.libsonnet';
local panel = import 'lib/panel.libsonnet';
local query = import 'lib/query.libsonnet';

local t = query.target;
local recorded = query.recorded;
local selected = query.selected;
local day(name, labels={}) = recorded(name, { window: '1d' } + labels);
local floor(name, legend='noise floor') = t(day(name), legend);
local multiples(value, critical, by='model, window') = 'max by (model) (abs(%s) / on (%s) %s)' % [day(value), by, day(critical)];

local outcome(uids) =
  local toLabels = panel.onward([link.to(uids.labels, 'Labels and quality in detail')]);
  local toLatency = panel.onward([link.to(uids.latency, 'Latency and volume in detail')]);
  {
    title: 'Outcome: what the users of the model get',
    panels: [
      panel.stat(
        'Accuracy, one day',
        'Share of labelled predictions that were right, over the last day whose labels have matured. Empty for a regression. Bad: near or below the limits in the panel below.',
        'percentunit',
        t(day('ml_accuracy'), '1d'),
        width=4
      ) + toLabels,
      panel.stat(
        'Worse than the reference',
        'By how much the better end of the interval of the worst measure of quality is worse than the reference. Bad: above 0, and above the limit on the page of quality.',
        'percentunit',
        t('max (%s)' % selected('ml:quality_baseline_loss', { window: '1d' }), '1d'),
        width=4
      ) + toLabels,
      panel.stat(
        'Slower than agreed, last hour',
        'Share of predictions above the latency limit of the model. Bad: more than a few percent.',
        'percentunit',
        t(recorded('ml_window_latency_over_limit_ratio', { window: '1h' }), '1h'),
        width=4
      ) + toLatency,
      panel.stat(
        'Default answers, last hour',
        'Share of requests answered without the model. Bad: anything that lasts.',
        'percentunit',
        t(recorded('ml_prediction_fallback_ratio', { window: '1h' }), '1h'),
        width=4
      ),
      panel.stat(
        'Predictions, last hour',
        'Predictions in the last hour. Bad: far from what the same hour had yesterday. Below the guard in "Rows" the alerts are silent.',
        'short',
        t(recorded('ml_window_rows', { window: '1h' }), '1h'),
        width=4
      ) + toLatency,
      panel.stat(
        'Features that drifted',
        'Features whose PSI over the last day is above its limit and above its noise floor. Bad: any.',
        'none',
        t(
          query.count(
            '%s\n> on (model, feature, window) %s' % [selected('ml:feature_psi:significant', { window: '1d' }), query.limitOf('feature_psi', '1d', 'warning')],
            selected('ml:feature_psi', { window: '1d' })
          ),
          'features'
        ),
        width=4
      ) + panel.alarming('orange') + panel.onward([link.to(uids.features, 'Which features')]),
      panel.timeline(
        'Firing alerts',
        'Every alert of this model, while it fires: orange a warning, red a page. Read it from the top of the page downwards: causes that began before an outcome may explain it. Bad: any bar.',
        t(query.firing('feature', 'model="$model"'), '{{alertname}} {{feature}}')
      ) + panel.onward([link.to(uids.alerts, 'History of its alerts')]),
      panel.timeseries(
        'Clearly worse than the reference',
        'By how much the better end of the interval of each measure over one day is worse than the reference. Bad: above the limit. Below zero is not clearly worse.',
        'percentunit',
        [t(selected('ml:quality_baseline_loss', { window: '1d' }), '{{measure}}'), query.limit('quality_baseline_loss', '1d', 'warning')]
      ) + toLabels,
      panel.timeseries(
        'Accuracy, and what is expected of it',
        'Share of labelled predictions that were right, with its 95 % interval for one day, and what the scores alone lead to expect of newer predictions. Bad: the whole interval below a limit. '
        + 'The windows end when their labels have matured, so a change shows late; the estimate is early, and cannot see that the world changed. Empty for a regression.',
        'percentunit',
        query.measure('ml_accuracy', ['1d', '2h'])
        + query.interval('accuracy', '1d', 'min')
        + query.estimate('accuracy', '1d', 'min')
        + [query.reference('ml_baseline_accuracy')]
        + query.limits('accuracy', '1d')
      ) + toLabels,
      panel.timeseries(
        'Mean absolute error',
        'How far predictions of a regression are from the labels, in their unit, with the 95 % interval of one day. Empty for a classifier. Bad: the whole interval above a limit.',
        'none',
        query.measure('ml_mean_absolute_error', ['1d', '2h'])
        + query.interval('mean_absolute_error', '1d')
        + query.estimate('mean_absolute_error', '1d', bounded=false)
        + [query.reference('ml_baseline_mean_absolute_error')]
        + query.limits('mean_absolute_error', '1d')
      ) + toLabels,
      panel.timeseries(
        'Slower than agreed',
        'Share of predictions above the latency limit of the model. Bad: the hour above the limit. A page ends when the five minutes are below it.',
        'percentunit',
        query.measure('ml_window_latency_over_limit_ratio', ['1h', '5m']) + [query.limit('window_latency_over_limit_ratio', '1h', 'critical')]
      ) + toLatency,
      panel.timeseries(
        'Errors',
        'Share of requests that failed. Bad: above a limit.',
        'percentunit',
        query.measure('ml_prediction_error_ratio', ['1h', '5m']) + query.limits('prediction_error_ratio', '1h')
      ),
      panel.timeseries(
        'Default answers',
        'Share of requests answered without the model. Bad: above a limit.',
        'percentunit',
        [t(recorded('ml_prediction_fallback_ratio', { window: window }), 'default answers, ' + window) for window in ['1h', '5m']]
        + query.limits('prediction_fallback_ratio', '1h')
      ),
    ],
  };

local inputs(uids) =
  local toFeatures = panel.onward([link.to(uids.features, 'Which features')]);
  local largest(expr) = t(query.largest(5, 'max by (feature) (%s)' % expr, 'feature'), '{{feature}}');
  {
    title: 'Diagnostics: what moved, and what the model is given',
    panels: [
      panel.timeseries(
        'Every kind of drift, in multiples of its noise floor',
        'The largest value of each kind over one day, divided by what it exceeds only by chance. Bad: above 1. It says in which panel to look first.',
        'none',
        [
          t(selected('ml:feature_psi_multiple', { window: '1d' }), 'features: distribution'),
          t(multiples('ml_feature_mean_shift_sigmas', 'ml_feature_mean_shift_critical_sigmas', 'model, window, feature'), 'features: mean'),
          t(multiples('ml_prediction_psi', 'ml_prediction_psi_critical'), 'scores'),
          t(multiples('ml_prediction_class_shift_sigmas', 'ml_prediction_class_shift_critical_sigmas', 'model, window, class'), 'shares of classes'),
          t(multiples('ml_prediction_mean_shift_sigmas', 'ml_prediction_mean_shift_critical_sigmas'), 'mean of the predictions'),
          t(multiples('ml_multivariate_drift', 'ml_multivariate_drift_critical'), 'features together'),
          t('vector(1)', 'noise floor'),
        ],
        width=12
      ) + toFeatures,
      panel.timeseries(
        'Drift of the features, in multiples of the noise floor',
        'PSI over one day divided by what the feature exceeds only by chance without any drift. The five highest. Bad: above 1; the alert also needs the limit on PSI.',
        'none',
        [
          largest('%s / on (model, feature, window) %s' % [day('ml_feature_psi'), day('ml_feature_psi_critical')]),
          t('vector(1)', 'noise floor'),
        ],
        width=12
      ) + toFeatures + panel.leads([link.line(uids.features, 'Open the feature', ['feature'], ['model'])]),
      panel.timeseries(
        'Nulls above the reference, one hour',
        'Share of nulls of each feature minus its share in the reference. The five highest. Bad: above a limit and above the noise floor, which the page of features draws; several features at once share an upstream.',
        'percentunit',
        [largest(selected('ml:feature_null_excess_ratio', { window: '1h' }))]
        + [query.lowestLimit('feature_null_excess_ratio', '1h', severity) for severity in ['warning', 'critical']]
      ) + toFeatures + panel.leads([link.line(uids.features, 'Open the feature', ['feature'], ['model'])]),
      panel.timeseries(
        'Schema violations',
        'Violations by kind, above their share of the predictions in the week before. Bad: above a limit: the service that writes the log changed it.',
        'percentunit',
        [t(selected('ml:schema_violation_excess_ratio'), '{{kind}}')] + query.limits('schema_violation_excess_ratio', '')
      ) + panel.onward([link.to(uids.exporter, 'Lines that were refused', [])]),
      panel.timeseries(
        'Outliers above the reference, one day',
        'Share of rows that the reference does not know, above its own share. Bad: above the limit and the noise floor.',
        'percentunit',
        [
          t(selected('ml:prediction_outlier_excess_ratio', { window: '1d' }), '1d'),
          floor('ml_prediction_outlier_critical_ratio'),
          query.limit('prediction_outlier_excess_ratio', '1d', 'warning'),
        ]
      ),
    ],
  };

local answers(uids) =
  local toFeatures = panel.onward([link.to(uids.features, 'Which features')]);
  {
    title: 'Diagnostics: what the model answers',
    panels: [
      panel.timeseries(
        'Class shares, one day',
        'Share of each predicted class. Empty for a regression. Bad: far from the reference without a reason in the business.',
        'percentunit',
        [
          t(day('ml_prediction_class_ratio'), '{{class}}'),
          t(recorded('ml_prediction_baseline_class_ratio'), 'reference {{class}}'),
        ]
      ),
      panel.timeseries(
        'Shift of class shares, one day',
        'Difference of each class share to the reference. Bad: at the limit or above, if the next panel shows that it is more than noise.',
        'percentunit',
        [
          t(selected('ml:prediction_class_shift_ratio', { window: '1d' }), '{{class}}'),
          query.limit('prediction_class_shift_ratio', '1d', 'warning'),
        ]
      ),
      panel.timeseries(
        'Shift of class shares in standard errors, one day',
        'The same in standard errors of the reference\'s own days. Bad: above the noise floor.',
        'none',
        [
          t(day('ml_prediction_class_shift_sigmas'), '{{class}}'),
          floor('ml_prediction_class_shift_critical_sigmas', 'noise floor {{class}}'),
        ]
      ),
      panel.timeseries(
        'PSI of the scores, one day',
        'How differently the scores are distributed than in the reference. Bad: above the noise floor and above the limit.',
        'none',
        [
          t(day('ml_prediction_psi'), '1d'),
          floor('ml_prediction_psi_critical'),
          query.limit('prediction_psi', '1d', 'warning'),
        ]
      ),
      panel.timeseries(
        'Confidence',
        'Mean probability of the predicted class. Bad: below what the days before lead to expect, or a step without a new version. Lower means inputs that the model does not know.',
        'percentunit',
        [t(query.raw('ml_prediction_confidence_mean', [], { window: window }), window) for window in ['1h', '1d']] + query.control('prediction_confidence_mean')
      ),
      panel.timeseries(
        'Equal answers above the reference, one day',
        'Share of pairs of predictions with the same answer, above that of the reference. Bad: above the limit and the noise floor: the model is frozen.',
        'percentunit',
        [
          t(selected('ml:prediction_concentration_excess_ratio', { window: '1d' }), '1d'),
          floor('ml_prediction_concentration_critical_ratio'),
          query.limit('prediction_concentration_excess_ratio', '1d', 'warning'),
        ]
      ),
      panel.timeseries(
        'Spread of the answers, one day',
        'Standard deviation of the answers: of the logits of scores, or of the numbers of a regression. Bad: outside the noise floor around the reference. Narrower: the model says the same to everybody.',
        'none',
        [
          t(query.raw('ml_prediction_spread', [], { window: '1d' }), '1d'),
          query.reference('ml_prediction_baseline_spread'),
        ] + [
          t(
            '%s %s %s' % [query.raw('ml_prediction_baseline_spread', [], { baseline: 'reference' }), side[0], query.raw('ml_prediction_spread_critical', [], { window: '1d', baseline: 'reference' })],
            'noise floor, ' + side[1]
          )
          for side in [['+', 'wide'], ['-', 'narrow']]
        ]
      ),
      panel.timeseries(
        'Change of the spread, one day',
        'The difference of that standard deviation from the reference, as a share of it. Bad: above the limit, and outside the noise floor in the panel of the spread.',
        'percentunit',
        [t(selected('ml:prediction_spread_change_ratio', { window: '1d' }), '1d'), query.limit('prediction_spread_change_ratio', '1d', 'warning')]
      ),
      panel.timeseries(
        'Absurd answers above the reference, one day',
        'Share of answers that the model never gave in the reference, above its own share. Bad: above the limit and the noise floor.',
        'percentunit',
        [
          t(selected('ml:prediction_absurd_excess_ratio', { window: '1d' }), '1d'),
          t(selected('ml:prediction_absurd_critical_ratio', { window: '1d' }), 'noise floor'),
          query.limit('prediction_absurd_excess_ratio', '1d', 'warning'),
        ]
      ),
      panel.timeseries(
        'Multivariate drift, one day',
        'How much worse the features go together than in the reference, in standard deviations. Bad: above the limit and the noise floor.',
        'none',
        [
          t(day('ml_multivariate_drift'), '1d'),
          floor('ml_multivariate_drift_critical'),
          query.limit('multivariate_drift', '1d', 'warning'),
        ],
        width=12
      ) + toFeatures,
      panel.timeseries(
        'Mean shift of the predictions, one day',
        'For a regression: distance of the mean prediction to that of the reference, in robust standard deviations. Bad: above the limit and the noise floor.',
        'none',
        [
          t(day('ml_prediction_mean_shift_sigmas'), '1d'),
          floor('ml_prediction_mean_shift_critical_sigmas'),
          query.limit('prediction_mean_shift_sigmas', '1d', 'warning'),
        ],
        width=12
      ),
    ],
  };

local latency(uids) = {
  title: 'Latency',
  panels: [
    item + panel.onward([link.to(uids.latency, 'Latency and volume in detail')])
    for item in [
      panel.timeseries(
        'Quantiles, one hour',
        'Latency below which the given share of predictions lies. Bad: 0.99 above the limit. If 0.5 moved too, everything is slow.',
        's',
        [t(recorded('ml_window_latency_seconds', { window: '1h' }), '{{q}}'), query.limit('window_latency_seconds', '1h', 'warning')],
        width=12
      ),
      panel.heatmap(
        'Distribution',
        'Predictions a second in each latency bucket, when they were read. Bad: a second band above the usual one. After an outage of the exporter it jumps once.',
        's',
        t('sum by (le) (rate(%s[$__rate_interval]))' % query.metric.suffixed('ml_prediction_latency_seconds', '_bucket', { model: '$model' }), '{{le}}'),
        width=12
      ),
    ]
  ],
};

local volume(uids) = {
  title: 'Volume, versions and freshness',
  panels: [
    panel.timeseries(
      'Rows',
      'Predictions in the window. Bad: below "at least" (alerts are silent there), or far from the same hour of other days.',
      'short',
      [t(recorded('ml_window_rows', { window: window }), window) for window in ['1h', '1d']]
      + [query.atLeast('window_rows', '1h'), query.atLeast('window_rows', '1d')]
    ) + panel.onward([link.to(uids.latency, 'Latency and volume in detail')]),
    panel.timeseries(
      'Predictions a second by version',
      'What was read, by the version that answered. Bad: a version that should have gone, or one that takes more than its share.',
      'reqps',
      [t('sum by (version) (rate(%s[$__rate_interval]))' % query.also(query.metric.metric('ml_predictions_total', { model: '$model' }), ['version=~"$version"']), '{{version}}')]
    ) + panel.onward([link.to(uids.labels, 'Versions that differ')]),
    panel.timeseries(
      'Age of the newest data',
      'How long ago the newest prediction and label were made, and the last hour ended. Bad: rising in a straight line: nothing arrives.',
      's',
      [
        t('time() - ' + query.raw('ml_last_prediction_timestamp_seconds', []), 'prediction'),
        t(selected('ml:label_age_seconds'), 'label'),
        query.limit('label_age_seconds', '', 'warning'),
        t('time() - ' + query.raw('ml_window_end_timestamp_seconds', [], { window: '1h' }), 'end of the last hour'),
      ]
    ) + panel.onward([link.to(uids.exporter, 'Does the exporter keep up', [])]),
  ],
};

{
  grafanaDashboards+:: {
    local uids = $._config.dashboardUids,
    [$._config.dashboardUids.model + '.json']: board.board($._config, {
      uid: uids.model,
      title: 'ML model',
      description: 'One model: its outcome first, then what may explain it, latency and volume.',
      from: 'now-2d',
      variables: [
        board.one('model', 'Model', 'ml_model_info'),
        board.several('version', 'Version', 'ml_model_version_info{model="$model"}'),
      ],
      annotations: [board.newVersion($._config, 'model="$model"')] + board.firing('model="$model"'),
      ofModel: true,
      onward: [link.to(uids.alerts, 'History of its alerts')],
      rows: [section(uids) for section in [outcome, inputs, answers, latency, volume]],
    }),
  },
}
