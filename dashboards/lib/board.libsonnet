// What every dashboard has: variables, annotations, links to the others, and rows of panels.
local duration = import '../../rules/lib/duration.libsonnet';
local metric = import '../../rules/lib/metric.libsonnet';
local panel = import 'panel.libsonnet';

local values(name, label, series, more) = {
  name: name,
  label: label,
  type: 'query',
  datasource: panel.datasource,
  query: { query: 'label_values(%s, %s)' % [series, name], refId: name },
  refresh: 2,
  sort: 1,
} + more;

// Grafana 10 to 11.6.1 read `expr` and `step`; 11.6.2, 12.0.1 and their next ones nothing but `target`; later ones either.
local annotation(name, color, expr, title, more={}) = {
  name: name,
  datasource: panel.datasource,
  enable: true,
  iconColor: color,
  expr: expr,
  step: '60s',
  target: { refId: 'Anno', expr: expr, interval: '60s', range: true, instant: false },
  titleFormat: title,
} + more;

// The steps of subqueries are durations too: on a short clock five minutes would step over all of the range.
local compressed(config, item) = item {
  targets: [
    target { expr: std.strReplace(target.expr, '[$__range:5m]', '[$__range:%s]' % duration.text(config, 300)) }
    for target in super.targets
  ],
};

{
  // One value, or several with `All`, which matches every value.
  one(name, label, series):: values(name, label, series, {}),
  several(name, label, series)::
    values(name, label, series, { multi: true, includeAll: true, allValue: '.+', current: { selected: true, text: ['All'], value: ['$__all'] } }),

  // Deployments: a version that was not there one step and five minutes before. It is marked once, however far apart the steps are: up to
  // 11.6.1 Grafana asks for a hundred of them.
  newVersion(config, models)::
    local version = metric.name('ml_model_version_info') + '{%s}' % models;
    annotation(
      'New version',
      'blue',
      'group by (model, version) (%s) unless group by (model, version) (last_over_time(%s[%s] offset $__interval))' % [version, version, duration.text(config, 300)],
      '{{model}} {{version}}'
    ),

  // Pages are marked; warnings, of which there may be many, when somebody asks for them. None falls between two steps.
  firing(matchers):: [
    annotation(
      item.name,
      item.color,
      local alerts = 'ALERTS{alertname=~"ML.+",alertstate="firing",escalation="",severity="%s",%s}' % [item.severity, matchers];
      'group by (alertname, model, feature) (%s or last_over_time(%s[$__interval]))' % [alerts, alerts],
      '{{alertname}} {{model}} {{feature}}',
      { enable: item.severity == 'critical' }
    )
    for item in [{ name: 'Pages', color: 'red', severity: 'critical' }, { name: 'Warnings', color: 'orange', severity: 'warning' }]
  ],

  // `spec`: uid, title, description, variables, annotations, rows, onward (links of every panel that has none of its own), and perhaps `from` and `refresh`.
  board(config, spec):: {
    uid: spec.uid,
    title: spec.title,
    description: spec.description,
    tags: ['ml-exporter'],
    schemaVersion: 36,
    editable: false,
    timezone: 'utc',
    refresh: std.get(spec, 'refresh', '1m'),
    time: { from: std.get(spec, 'from', 'now-24h'), to: 'now' },
    graphTooltip: 1,
    templating: { list: [{ name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus', refresh: 1 }] + spec.variables },
    annotations: { list: spec.annotations },
    links: [
      { type: 'dashboards', title: 'ML dashboards', tags: ['ml-exporter'], asDropdown: true, includeVars: true, keepTime: true, targetBlank: false },
      {
        type: 'link',
        title: 'Runbooks',
        url: std.rstripChars(std.splitLimit(config.runbookURLPattern, '%s', 1)[0], '/'),
        icon: 'doc',
        targetBlank: true,
      },
    ] + (
      if config.exporterURL == null || !std.get(spec, 'ofModel', false) then [] else [{
        type: 'link',
        title: 'Page of the exporter',
        url: std.rstripChars(config.exporterURL, '/') + '/models?model=${model:percentencode}' + std.get(spec, 'page', ''),
        tooltip: 'Histograms, segments, and why a value is missing',
        targetBlank: true,
      }]
    ),
    panels: panel.layout([
      row { panels: [panel.onward(spec.onward) + compressed(config, item) for item in row.panels] }
      for row in spec.rows
    ]),
  },
}
