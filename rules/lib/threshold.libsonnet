// Thresholds as recorded series. Prometheus, Grafana and a reviewer see the same number that the alert compares with.
//   ml:threshold:default    one series a row of thresholds.yaml
//   ml:threshold:override   one series an override, with the labels that it is for
//   ml:threshold:effective  one series a series of the level: the most specific of them
//   ml:threshold:missing    one series a model with series of the level that have none
local alert = import 'alert.libsonnet';
local d = import 'duration.libsonnet';
local signals = import '../signals.libsonnet';

local text(signal, window, severity) = signal + '/' + (if window == '' then '(no window)' else window) + '/' + severity;
local keyOf(row) = text(row.signal, std.get(row, 'window', ''), row.severity);
// By way of an array: an object made by several `for` is slow to look into.
local declared = {
  [key]: true
  for key in [
    text(signal, window, severity)
    for signal in std.objectFields(signals)
    for window in signals[signal].windows
    for severity in signals[signal].severities
  ]
};

// The row of thresholds.yaml for a limit. Every limit that an alert reads has exactly one, and no other row exists.
local row(rows, signal, window, severity) =
  local wanted = text(signal, window, severity);
  local found = [item for item in rows if item.signal == signal && keyOf(item) == wanted];
  if std.length(found) == 1 then found[0]
  else error 'thresholds: expected one row %s, got %d. Write exactly one.' % [wanted, std.length(found)];

local readRows(rows) =
  local unread = [keyOf(item) for item in rows if !std.objectHas(declared, keyOf(item))];
  if unread == [] then rows
  else
    error 'thresholds: expected rows that an alert reads (%s), got %s. Remove or correct it.'
          % [std.join(', ', std.objectFields(declared)), unread[0]];

// The rows with changes in place: a value replaces the row's own, overrides are added or replaced.
local changed(rows, changes) =
  local target(item) = std.prune({ [label]: std.get(item, label) for label in ['model', 'feature', 'segment_by', 'segment'] });
  local over(row, change) =
    local replaced = [target(item) for item in std.get(change, 'overrides', [])];
    local kept = [item for item in std.get(row, 'overrides', []) if !std.member(replaced, target(item))];
    row + change + { overrides: kept + std.get(change, 'overrides', []) };
  local known = [keyOf(row) for row in rows];
  [std.foldl(over, [change for change in changes if keyOf(change) == keyOf(row)], row) for row in rows]
  + [change for change in changes if !std.member(known, keyOf(change))];

// A time in text ('5m') is divided in a compressed demo, but stays above a scrape and an evaluation. A number is left alone.
local number(config, signal, value) =
  if value == 'none' then (if signals[signal].low then '-Inf' else '+Inf')
  else if std.isString(value) then '%.10g' % d.divided(config, d.seconds(value), config.shortestMetaDurationSeconds)
  else '%.10g' % value;

local selector(signal, window, severity, more='') =
  '{signal="' + signal + '",severity="' + severity + '"' + (if window == '' then '' else ',window="' + window + '"') + more + '}';

local withoutWindow(by) = [label for label in by if label != 'window'];

local override(config, signal, window, severity, item) =
  local allowed = withoutWindow(signals[signal].by);
  local labels = { [label]: item[label] for label in allowed if std.objectHas(item, label) };
  local unknown = [key for key in std.objectFields(item) if !std.member(allowed + ['value', 'reason'], key)];
  // A later label needs those before it: the records are read in this order.
  local gap = [label for label in allowed[:std.length(labels)] if !std.objectHas(labels, label)];
  if unknown != [] || gap != [] || !std.objectHas(labels, 'model') then
    error 'thresholds: expected overrides of %s with model%s, value and reason, got %s. Correct it.'
          % [text(signal, window, severity), if std.length(allowed) > 1 then ', perhaps ' + std.join(' and ', allowed[1:]) else '', std.manifestJsonMinified(item)]
  else { record: 'ml:threshold:override', expr: number(config, signal, item.value), labels: labels };

// Thresholds for every series of the level: the branch for `keys` (the labels that an override names, [] for the default).
local branch(signal, window, severity, keys) =
  local s = signals[signal];
  local on = std.join(', ', keys);
  local absent = [label for label in withoutWindow(s.by) if !std.member(keys, label)];
  local more = std.join('', [',' + key + '!=""' for key in keys] + [',' + label + '=""' for label in absent]);
  local right =
    if keys == [] then 'max (ml:threshold:default' + selector(signal, window, severity) + ')'
    else 'max by (' + on + ') (ml:threshold:override' + selector(signal, window, severity, more) + ')';
  'group by (' + std.join(', ', s.by) + ') (' + s.level + '{window="' + window + '"})\n'
  + '* on (' + on + ') group_left ()\n'
  + '  ' + right + '\n';

local effective(signal, window, severity) =
  local s = signals[signal];
  local names = withoutWindow(s.by);
  local branches = [branch(signal, window, severity, names[:count]) for count in std.range(0, std.length(names))];
  if names == [] then 'max (ml:threshold:default' + selector(signal, window, severity) + ')'
  else std.join('or on (' + std.join(', ', s.by) + ')\n', std.reverse(branches));

local missing(signal, window, severity) =
  local s = signals[signal];
  {
    record: 'ml:threshold:missing',
    expr: 'count by (model) (\n  group by (' + std.join(', ', s.by) + ') (' + s.level + '{window="' + window + '"})\n'
          + '  unless on (' + std.join(', ', withoutWindow(s.by)) + ')\n    ml:threshold:effective' + selector(signal, window, severity) + '\n)',
    // The label `severity` would be overwritten by that of the alert.
    labels: { signal: signal, limit: severity } + (if window == '' then {} else { window: window }),
  };

local labelsOf(signal, window, severity) =
  { signal: signal, severity: severity } + (if window == '' then {} else { window: window });

{
  // All records of these signals, in the order in which they build on each other.
  rules(config, names):: local rows = readRows(changed(config.thresholds, config.thresholdChanges)); std.flattenArrays([
    local found = row(rows, signal, window, severity);
    local labels = labelsOf(signal, window, severity);
    (if found.value == 'required' then [] else [{ record: 'ml:threshold:default', expr: number(config, signal, found.value), labels: labels }])
    + [override(config, signal, window, severity, item) + { labels+: labels } for item in std.get(found, 'overrides', [])]
    + [{ record: 'ml:threshold:effective', expr: effective(signal, window, severity), labels: labels }]
    + (if signals[signal].by == [] then [] else [missing(signal, window, severity)])
    for signal in names
    for window in signals[signal].windows
    for severity in signals[signal].severities
  ]),

  // The threshold series of a limit, one a series of its level.
  series(signal, window, severity)::
    assert std.objectHas(declared, text(signal, window, severity)) :
           'rules: expected a limit of signals.libsonnet, got %s. Add it there and to thresholds.yaml.' % text(signal, window, severity);
    'ml:threshold:effective' + selector(signal, window, severity),

  // `level`, where it is beyond its limit. `level` may be of another window than the limit: it selects its own.
  compare(level, operator, signal, window, severity)::
    local on = std.join(', ', withoutWindow(signals[signal].by));
    level + '\n' + operator + ' on (' + on + ') group_left ()\n  ' + $.series(signal, window, severity) + '\n',

  // The window has enough rows. `enough` is ml:window_rows:enough or one like it.
  enough(enough, on='model, window'):: 'and on (' + on + ')\n  ' + enough,

  // An outcome that pages: `level` beyond its limit over a long window with enough rows, unless the short window, with enough rows of
  // its own, already shows that it is over. So a page ends soon after the fix, and missing rows are no recovery.
  outcome(level, operator, signal, window, severity, short, enough, shortLevel=level)::
    local inside = { '>': '<=', '<': '>=' }[operator];
    $.compare(level + '{window="' + window + '"}', operator, signal, window, severity)
    + $.enough(enough) + '\nunless on (model)\n  (\n'
    + alert.indent(alert.indent($.compare(shortLevel + '{window="' + short + '"}', inside, signal, window, severity)))
    + '\n    and on (model, window)\n      ' + enough + '\n  )',

  // The limit as text of a description, for the labels in `labels`.
  shown(signal, window, severity, labels='$labels')::
    local s = signals[signal];
    $.value($.series(signal, window, severity), withoutWindow(s.by), s.format, labels),

  // The value of a series as text of a description. `keys` are the labels that pick it, taken from `labels`.
  value(series, keys, format, labels='$labels')::
    local picked = std.join(',', [key + '=%q' for key in keys]);
    local query =
      if keys == [] then series
      else if std.endsWith(series, '}') then std.rstripChars(series, '}') + ',' + picked + '}'
      else series + '{' + picked + '}';
    local arguments = std.join('', [' ' + labels + '.' + key for key in keys]);
    '{{ with printf `' + query + '`' + arguments + ' | query }}{{ . | first | value | ' + format + ' }}{{ else }}unknown{{ end }}',
}
