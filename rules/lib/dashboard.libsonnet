// Which dashboard an alert leads to: one that draws its limit, and shows beside it what the first action of the alert asks for.
local boards = {
  quality: 'labels',
  estimates: 'labels',
  labels: 'labels',
  baseline: 'labels',
  latency: 'latency',
  volume: 'latency',
  nulls: 'features',
  values: 'features',
  schema: 'features',
  drift: 'features',
  predictions: 'model',
  errors: 'model',
  models: 'overview',
  thresholds: 'exporter',
  exporter: 'exporter',
  sources: 'exporter',
  state: 'exporter',
  rules: 'exporter',
  heartbeat: 'alerts',
};

// What pages for a broken model opens where the causes are beside it, and what was never read where its source is.
local exceptions = { MLAccuracyLow: 'model', MLMeanAbsoluteErrorHigh: 'model', MLPredictionsAbsent: 'exporter' };

// Labels that alerts of a family, or one alert, have and that are variables of their dashboard.
local carried = { nulls: ['feature'], values: ['feature'], MLSegmentWorse: ['segment_by', 'segment'], sources: ['source'] };
local ofModel = ['model', 'features', 'labels', 'latency'];

// Windows of a day move slowly: their alerts open a week.
local range(expr) = if std.findSubstr('window="1d"', expr) == [] then '24h' else '7d';

{
  // The address, with the labels of the alert filled in by Prometheus.
  url(config, name, family, expr)::
    local board =
      if std.objectHas(exceptions, name) then exceptions[name]
      else if std.objectHas(boards, family) then boards[family]
      else error 'rules: expected a family of lib/dashboard.libsonnet, got %s. Add the dashboard that its alerts lead to.' % family;
    local labels = std.get(carried, family, std.get(carried, name, []));
    config.grafanaURL + '/d/' + config.dashboardUids[board] + '?'
    + (if std.member(ofModel, board) then 'var-model={{ $labels.model | urlquery }}&' else '')
    + std.join('', ['{{ with $labels.%s }}var-%s={{ . | urlquery }}&{{ end }}' % [label, label] for label in labels])
    + 'from=now-%s&to=now' % range(expr),
}
