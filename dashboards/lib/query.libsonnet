// Queries and targets about the model that the variable `model` names. Names of metrics and limits are checked when this compiles.
local level = import '../../rules/lib/level.libsonnet';
local metric = import '../../rules/lib/metric.libsonnet';
local threshold = import '../../rules/lib/threshold.libsonnet';

local labelled(series, matchers) = series + '{' + std.join(',', matchers) + '}';
local equals(labels) = [label + '="' + labels[label] + '"' for label in std.objectFields(labels)];
local named = 'model="$model"';

{
  target(expr, legend):: { expr: expr, legendFormat: legend, editorMode: 'code', range: true },

  // A value at the end of the time range, as a row of a table for each series.
  row(expr):: { expr: expr, legendFormat: '__auto', editorMode: 'code', range: false, instant: true, format: 'table' },

  // A series that is recorded under its own name, and the recorded level of a metric.
  selected(series, labels={}, more=[]):: labelled(series, [named] + more + equals(labels)),
  recorded(name, labels={}, more=[]):: $.selected(level.name(name), labels, more),

  // A metric that is recorded nowhere: the worst of the replicas.
  raw(name, by, labels={}, worst='max', more=[])::
    worst + (if by == [] then '' else ' by (' + std.join(', ', by) + ')')
    + ' (' + $.also(metric.metric(name, { model: '$model' } + labels), more) + ')',
  also(series, more):: if more == [] then series else std.rstripChars(series, '}') + ',' + std.join(',', more) + '}',
  reference(name, by=[]):: $.target($.raw(name, by, { baseline: 'reference' }), 'reference'),

  // The series that an alert compares with. Of the limits that features or segments have, the lowest is drawn.
  limitOf(signal, window, severity):: std.strReplace(threshold.series(signal, window, severity), '}', ',' + named + '}'),
  // A limit that is switched off is infinite: it has no line, and no part in the scale of the axis.
  finite(expr):: expr + ' > -Inf < Inf',
  limit(signal, window, severity, of=''):: $.target($.finite('max (' + $.limitOf(signal, window, severity) + ')'), severity + ' limit' + of),
  lowestLimit(signal, window, severity):: $.target($.finite('min (' + $.limitOf(signal, window, severity) + ')'), severity + ' limit (lowest)'),
  limits(signal, window, severities=['warning', 'critical'], of=''):: [$.limit(signal, window, severity, of) for severity in severities],
  atLeast(signal, window):: $.target('max (' + $.limitOf(signal, window, 'guard') + ')', 'at least, ' + window),
  exporterLimit(signal, severity):: $.target('max (' + threshold.series(signal, '', severity) + ')', severity + ' limit'),

  // What the days before led to expect.
  control(signal, window='1d'):: [
    $.target($.recorded('ml_control_limit', { signal: signal, bound: item[0], window: window }), item[1])
    for item in [['centre', 'expected'], ['lower', 'expected from'], ['upper', 'expected to']]
  ],

  // A level over some windows, and the ends of its interval over one.
  measure(name, windows):: [$.target($.recorded(name, { window: window }), window) for window in windows],
  interval(name, window, worst='max'):: [
    $.target($.raw('ml_' + name + '_upper', [], { window: window }, worst), 'upper 95 %'),
    $.target($.raw('ml_' + name + '_lower', [], { window: window }, worst), 'lower 95 %'),
  ],

  // What is expected of the window without labels, and the ends of its own error, within what the measure can be.
  estimate(name, window, worst='max', bounded=true)::
    local estimated = $.raw('ml_estimated_' + name, [], { window: window }, worst);
    local half = $.raw('ml_estimated_' + name + '_error', [], { window: window });
    [
      $.target(estimated, 'estimated'),
      $.target((if bounded then 'clamp_max(%s + %s, 1)' else '%s + %s') % [estimated, half], 'estimated at most'),
      $.target('clamp_min(%s - %s, 0)' % [estimated, half], 'estimated at least'),
    ],

  // Alerts while they fire, by some labels: 1 a warning, 2 a critical one. The rungs of an escalation and the heartbeat are left out.
  firing(by, matchers)::
    local of(severity) =
      'group by (alertname, %s) (ALERTS{alertname=~"ML.+",alertname!="MLWatchdog",alertstate="firing",escalation="",severity="%s",%s})' % [by, severity, matchers];
    '2 * %s\nor on (alertname, %s) %s' % [of('critical'), by, of('warning')],

  // How many there are, 0 if there are others to be counted (`among`), and nothing where nothing is known: no data is not 0.
  count(expr, among):: 'count(%s) or 0 * count(%s)' % [expr, among],

  // Of the series in `expr`, those that were largest at some time in the range: the same ones over the whole panel.
  largest(count, expr, by, step='5m')::
    '(' + expr + ')\nand on (' + by + ') topk(' + count + ', max_over_time((' + expr + ')[$__range:' + step + '] @ end()))',

  metric:: metric,
}
