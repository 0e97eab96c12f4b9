// Recorded levels. A level `ml:<signal>` is the worst value over the replicas of an exporter, without the labels that
// change when one restarts. Alerts and panels read levels, so that a roll-out does not put a firing alert back to pending.
local m = import 'metric.libsonnet';

{
  // The rule ml:feature_psi = max without (instance, ...) (ml_feature_psi{baseline="reference"}). `worst` is 'max' or 'min'.
  // The label `baseline` is fixed and dropped, so that joins need not name it. Series of a segment or class are left out. `through` is a function applied first, such as 'abs'.
  // `labels` pick series, such as one value of an optional label.
  level(config, metric, worst='max', through='', labels={})::
    local compared = m.hasLabel(metric, 'baseline');
    local series = m.metric(metric, labels + (if compared then { baseline: config.baseline } else {}));
    {
      record: $.name(metric),
      expr: worst + ' without (' + std.join(', ', config.replicaLabels + (if compared then ['baseline'] else [])) + ') ('
            + (if through == '' then series else through + '(' + series + ')') + ')',
    },

  // The same of the segments alone, recorded as ml:segment_accuracy for ml_accuracy.
  segments(config, metric, worst='max')::
    local fixed = std.join('', [label + '="",' for label in ['class'] if m.hasLabel(metric, label)]);
    {
      record: 'ml:segment_' + m.name(metric)[3:],
      expr: worst + ' without (' + std.join(', ', config.replicaLabels) + ') (' + metric + '{' + fixed + 'segment_by!=""})',
    },

  // ml_feature_psi is recorded as ml:feature_psi.
  name(metric):: 'ml:' + m.name(metric)[3:],
}
