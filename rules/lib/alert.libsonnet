// What every alert and every group has, stamped once.
local d = import 'duration.libsonnet';
local dashboard = import 'dashboard.libsonnet';

// Text of PromQL, two columns to the right.
local trimmed(text) = if std.endsWith(text, '\n') then trimmed(text[:std.length(text) - 1]) else text;
local indent(text) = '  ' + std.strReplace(trimmed(text), '\n', '\n  ');

local durations(config, name, shortest) =
  local settings =
    if std.objectHas(config.alerts, name) then config.alerts[name]
    else error 'rules: expected durations of %s in _config.alerts, got none. Add its `for` and `keepFiring`.' % name;
  (if settings['for'] > 0 then { 'for': d.text(config, settings['for'], shortest) } else {})
  + (if settings.keepFiring > 0 then { keep_firing_for: d.text(config, settings.keepFiring, shortest) } else {});

local links(config, name, family, expr, pattern) = {
  runbook_url: std.strReplace(pattern, '%s', name),
  dashboard_url: dashboard.url(config, name, family, expr),
};

// The labels of a model's alert as a query. Names come from people: `urlquery` encodes them for a query, and for no other part of an
// address, so pages of the exporter are asked for by query, and it redirects to their path.
local asked(names) = 'model={{ $labels.model | urlquery }}'
                     + std.join('', ['{{ with $labels.%s }}&%s={{ . | urlquery }}{{ end }}' % [name, name] for name in names]);

// Which page of a model shows more than its own page does; alerts with a feature lead to the feature's.
local pages = { MLLabelsLate: 'labels', MLLabelCoverageLow: 'labels', MLLabelSelectionBias: 'labels', MLOutlierExcess: 'outliers' };

// Links to the exporter, where its address is known: the runbook with the numbers of the model, and the model's page.
local own(config, name) =
  if config.exporterURL == null then {} else
    local url = std.rstripChars(config.exporterURL, '/');
    {
      [if std.startsWith(config.runbookURLPattern, url + '/runbooks/') then 'runbook_url']+: '?' + asked(['feature', 'window']),
      page_url: url + '/models?' + asked(['feature']) + (if std.objectHas(pages, name) then '&page=' + pages[name] else ''),
    };

local base(name, severity, layer, family, expr, summary, description) = {
  alert: name,
  expr: expr,
  labels: { severity: severity, layer: layer, family: family },
  annotations: { summary: summary, description: description },
};

{
  // An alert about a model. `expr` yields series with the label `model`; team and tier are joined from its owner.
  model(config, name, severity, layer, family, expr, summary, description)::
    local owned = '(\n' + indent(expr) + '\n)\n* on (model) group_left (team, tier)\n  ml:model:owner\n';
    base(name, severity, layer, family, owned, summary, description)
    + durations(config, name, config.shortestDurationSeconds)
    + { annotations+: links(config, name, family, expr, config.runbookURLPattern) + own(config, name) },

  // An alert about a model that no exporter reports, so that no page of an exporter knows it: the series of `expr` bring model, team and
  // tier themselves.
  missing(config, name, severity, layer, family, expr, summary, description)::
    base(name, severity, layer, family, expr, summary, description)
    + durations(config, name, config.shortestMetaDurationSeconds)
    + { annotations+: links(config, name, family, expr, config.runbookURLPattern) },

  // An alert about the exporter. It belongs to the exporter's owner, and its links never point at the exporter.
  meta(config, name, severity, family, expr, summary, description)::
    base(name, severity, 'meta', family, expr, summary, description)
    + durations(config, name, config.shortestMetaDurationSeconds)
    + { labels+: { model: 'none' } + config.exporterOwner, annotations+: links(config, name, family, expr, config.metaRunbookURLPattern) },

  indent:: indent,

  group(config, name, rules):: {
    name: name,
    interval: d.text(config, config.evaluationIntervalSeconds),
    rules: [rule { expr: trimmed(rule.expr) } for rule in rules],
  },
}
