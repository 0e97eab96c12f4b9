// Recorded levels. A level `ml:<signal>` is the worst value over the replicas of an exporter, without the labels that
// change when one restarts. Alerts and panels read levels, so that a roll-out does not put a firing alert back to pending.
local m = import 'metric.libsonnet';

{
  // The rule ml:feature_psi = max without (instance, ...) (ml_feature_psi{baseline="reference"}). `worst` is 'max' or 'min'.
  // The label `baseline` is fixed and dropped, so that joins need not name it. Series of a segment or class are left out. `through` is a function applied first, such as 'abs'.
  // `labels` pick series, such as one value of an optional label.
  level(config, metric, worst='max', through='', labels={})::
    local compared = m.hasLabel(metric, 'baseline');
    local series = m.read(config, metric, labels + (if compared then { baseline: config.baseline } else {}));
    {
      record: $.name(metric),
      expr: worst + ' without (' + std.join(', ', config.replicaLabels + (if compared then ['baseline'] else [])) + ') ('
            + (if through == '' then series else through + '(' + series + ')') + ')',
    },

  // The same of the segments alone, recorded as ml:segment_accuracy for ml_accuracy.
  segments(config, metric, worst='max')::
    local fixed = [label + '=""' for label in ['class'] if m.hasLabel(metric, label)] + ['segment_by!=""'];
    local matchers = std.join(',', fixed + [text for text in [m.selector(config)] if text != '']);
    {
      record: 'ml:segment_' + m.name(metric)[3:],
      expr: worst + ' without (' + std.join(', ', config.replicaLabels) + ') (' + m.name(metric) + '{' + matchers + '})',
    },

  // ml_feature_psi is recorded as ml:feature_psi.
  name(metric):: 'ml:' + m.name(metric)[3:],
}
