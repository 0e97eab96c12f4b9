// Alerts of a model that count: how many features, measures or versions are beyond their limit, with the worst by name in the description.
local alert = import 'alert.libsonnet';
local threshold = import 'threshold.libsonnet';

local oneLine(text) = std.join(' ', [std.stripChars(line, ' ') for line in std.split(std.stripChars(text, '\n'), '\n')]);

{
  // Not for a model or baseline that is new: its windows are not full, or what they are compared with was changed.
  settled:: '\nunless on (model)\n  ml:model:new',

  // A sentence of a description, where the noise floor is not yet known well.
  provisional::
    '{{ with printf `ml:baseline_info{dispersion!="learned",model=%q}` $labels.model | query }}'
    + 'The noise floor is {{ . | first | label "dispersion" }}, because the reference has too few windows: this may be a false alarm. {{ end }}',

  // Windows of one model beyond the limit `signal`: `level` has more labels than that, `how` is 'count' or 'max'.
  aggregated(how, level, operator, signal, window, severity)::
    how + ' by (model, window) (\n'
    + alert.indent(threshold.compare(level + '{window="' + window + '"}', operator, signal, window, severity))
    + '\n)',

  // A piece of a description about the largest series of `expr`: `text` reads it as $worst.
  worst(expr, window, text)::
    local query = std.strReplace(oneLine(expr), '{window="' + window + '"}', '{window="' + window + '",model=%q}');
    '{{ with printf `sort_desc(' + query + ')` $labels.model | query }}{{ $worst := first . }}' + text + '{{ end }}',

  // The record ml:<signal>:significant: the level, where it is beyond the critical value of the same labels.
  significant(level, critical, labels, maximum=''):: {
    record: level + ':significant',
    expr: level + '\n> on (' + std.join(', ', labels) + ') group_left ()\n'
          + '  max by (' + std.join(', ', labels) + ') (' + critical + maximum + ')\n',
  },
}
