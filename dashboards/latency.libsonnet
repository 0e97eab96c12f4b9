// Latency and volume of one model: what was agreed, and what its own past leads to expect.
local board = import 'lib/board.libsonnet';
local link = import 'lib/link.libsonnet';
local panel = import 'lib/panel.libsonnet';
local query = import 'lib/query.libsonnet';

local t = query.target;
local recorded = query.recorded;
local selected = query.selected;

local latency = {
  title: 'Latency: is the model as fast as agreed',
  panels: [
    panel.stat(
      'Slower than agreed, last hour',
      'Share of predictions above the latency limit of the model. Bad: above the limit in the panel below.',
      'percentunit',
      t(recorded('ml_window_latency_over_limit_ratio', { window: '1h' }), '1h')
    ),
    panel.stat(
      'Slower than agreed, last day',
      'The same over a day. Bad: more than was agreed on for the month.',
      'percentunit',
      t(recorded('ml_window_latency_over_limit_ratio', { window: '1d' }), '1d')
    ),
    panel.stat(
      '99 of 100 answers within, last hour',
      'The 0.99 quantile of the latency. Bad: above the limit in the panel of quantiles.',
      's',
      t(recorded('ml_window_latency_seconds', { window: '1h', q: '0.99' }), '1h')
    ),
    panel.stat(
      'Half of the answers within, last hour',
      'The 0.5 quantile of the latency. Bad: if it rises with the 0.99 quantile, everything is slow; if not, only some requests are.',
      's',
      t(recorded('ml_window_latency_seconds', { window: '1h', q: '0.5' }), '1h')
    ),
    panel.timeseries(
      'Slower than agreed',
      'Share of predictions above the latency limit of the model. Bad: the hour above the limit. A page ends when the five minutes are below it.',
      'percentunit',
      query.measure('ml_window_latency_over_limit_ratio', ['1h', '5m']) + [query.limit('window_latency_over_limit_ratio', '1h', 'critical')],
      width=12
    ),
    panel.timeseries(
      'Quantiles, one hour',
      'Latency below which the given share of predictions lies. Bad: 0.99 above the limit. If 0.5 moved too, everything is slow.',
      's',
      [t(recorded('ml_window_latency_seconds', { window: '1h' }), '{{q}}'), query.limit('window_latency_seconds', '1h', 'warning')],
      width=12
    ),
    panel.timeseries(
      '0.99 quantile and what its past leads to expect, one day',
      'The 0.99 quantile of the latency over a day, with the control limits of the days before. Bad: above "expected to". The limits exist after fifty days or hours of history.',
      's',
      [t(recorded('ml_window_latency_seconds', { window: '1d', q: '0.99' }), '1d')] + query.control('window_latency_seconds_p99'),
      width=12
    ),
    panel.heatmap(
      'Distribution',
      'Predictions a second in each latency bucket, when they were read. Bad: a second band above the usual one. After an outage of the exporter it jumps once.',
      's',
      t('sum by (le) (rate(%s[$__rate_interval]))' % query.metric.suffixed('ml_prediction_latency_seconds', '_bucket', { model: '$model' }), '{{le}}'),
      width=12
    ),
  ],
};

local volume(uids) = {
  title: 'Volume: do the usual requests come',
  panels: [
    panel.timeseries(
      'Rows in an hour, and what is usual',
      'Predictions in the last hour, beside the same hour of yesterday and of last week (the lower and the higher of the two). Bad: far outside the two, or below "at least" (alerts are silent there).',
      'short',
      [
        t(recorded('ml_window_rows', { window: '1h' }), '1h'),
        t(selected('ml:volume_usual_rows:upper', { window: '1h' }), 'usual at most'),
        t(selected('ml:volume_usual_rows:lower', { window: '1h' }), 'usual at least'),
        query.atLeast('window_rows', '1h'),
      ],
      width=12
    ),
    panel.timeseries(
      'Rows in a day, and what its past leads to expect',
      'Predictions in the last day, with the control limits of the days before. Bad: outside "expected". The limits exist after fifty days or hours of history.',
      'short',
      [t(recorded('ml_window_rows', { window: '1d' }), '1d')] + query.control('window_rows') + [query.atLeast('window_rows', '1d')],
      width=12
    ),
    panel.timeseries(
      'Missing against the usual, one hour',
      'Share by which the last hour is below the lower of yesterday and last week. Bad: above a limit. Below 0 there are more.',
      'percentunit',
      [t(selected('ml:volume_drop_ratio', { window: '1h' }), '1h')] + query.limits('volume_drop_ratio', '1h')
    ),
    panel.timeseries(
      'Times the usual, one hour',
      'The last hour in multiples of the higher of yesterday and last week. Bad: above the limit: one caller repeats its requests.',
      'none',
      [t(selected('ml:volume_surge_factor', { window: '1h' }), '1h'), query.limit('volume_surge_factor', '1h', 'warning')]
    ),
    panel.timeseries(
      'Silence of the predictions',
      'How much older the newest prediction is than at this time of yesterday and of last week. Bad: above the limit: nothing newer is watched.',
      's',
      [t(selected('ml:prediction_silence_seconds'), 'longer than usual'), query.limit('prediction_silence_seconds', '', 'warning')]
    ),
    panel.timeseries(
      'Rows in five minutes',
      'Predictions in the last five minutes. Bad: below "at least": the short window says nothing there, and a page on latency does not end by it.',
      'short',
      [t(recorded('ml_window_rows', { window: '5m' }), '5m'), query.atLeast('window_rows', '5m')]
    ),
    panel.timeseries(
      'Predictions a second by version',
      'What was read, by the version that answered. Bad: a version that should have gone, or one that takes more than its share.',
      'reqps',
      [t('sum by (version) (rate(%s[$__rate_interval]))' % query.also(query.metric.metric('ml_predictions_total', { model: '$model' }), ['version=~"$version"']), '{{version}}')],
      width=8
    ) + panel.onward([link.to(uids.labels, 'Versions that differ')]),
    panel.timeseries(
      'Repeated predictions, one hour',
      'Share of predictions with an id that an earlier one had. Bad: above the limit: a caller repeats its requests, or a log is written twice.',
      'percentunit',
      [t(recorded('ml_prediction_repeated_ratio', { window: '1h' }), '1h'), query.limit('prediction_repeated_ratio', '1h', 'warning')],
      width=8
    ),
  ],
};

{
  grafanaDashboards+:: {
    local uids = $._config.dashboardUids,
    [$._config.dashboardUids.latency + '.json']: board.board($._config, {
      uid: uids.latency,
      title: 'ML latency and volume',
      description: 'One model: is it as fast as agreed, and do the usual requests come.',
      variables: [
        board.one('model', 'Model', 'ml_model_info'),
        board.several('version', 'Version', 'ml_model_version_info{model="$model"}'),
      ],
      annotations: [board.newVersion($._config, 'model="$model"')] + board.firing('model="$model",family=~"latency|errors|volume"'),
      ofModel: true,
      onward: [link.to(uids.model, 'Open the model')],
      rows: [latency, volume(uids)],
    }),
  },
}
