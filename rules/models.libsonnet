// What every other family builds on: who owns a model, whether it is new, how many rows a window has, and whether that is enough.
local alert = import 'lib/alert.libsonnet';
local d = import 'lib/duration.libsonnet';
local level = import 'lib/level.libsonnet';
local m = import 'lib/metric.libsonnet';
local threshold = import 'lib/threshold.libsonnet';

local enough(signal, labels) = {
  record: 'ml:' + signal + ':enough',
  expr: 'ml:' + signal + '\n>= on (' + labels + ')\n'
        + '  max by (' + labels + ') (ml:threshold:effective{signal="' + signal + '",severity="guard"})',
};

// Seen at some time before the quiet period: a gap of the monitoring does not make a model new.
local before(config, series) = 'present_over_time(' + series + '[1d] offset ' + d.text(config, config.quietSeconds) + ')';

{
  prometheusRules+:: {
    groups+: [
      alert.group($._config, 'ml-models.rules', [
        {
          // Exactly one series a model, whatever happens: while a roll-out changes the owner, the majority of replicas decides.
          record: 'ml:model:owner',
          expr: 'group by (model, team, tier) (\n  topk by (model) (1, count by (model, team, tier) ('
                + m.read($._config, 'ml_model_info')
                + '))\n)',
        },
      ] + [
        { record: 'ml:model:expected', expr: '1', labels: item }
        for item in $._config.expectedModels
      ] + [
        level.level($._config, 'ml_baseline_info'),
        {
          record: 'ml:model:new',
          expr: 'group by (model) (\n'
                + '  ml:model:owner\n  unless on (model)\n    ' + before($._config, 'ml:model:owner') + '\n)\n'
                + 'or on (model)\ngroup by (model) (\n'
                + '  ml:baseline_info\n  unless on (model, fingerprint)\n    ' + before($._config, 'ml:baseline_info') + '\n)',
        },
        level.level($._config, 'ml_window_rows'),
        level.level($._config, 'ml_labelled_rows'),
        level.segments($._config, 'ml_labelled_rows'),
      ]),
      alert.group($._config, 'ml-guards.rules', threshold.rules($._config, ['window_rows']) + [enough('window_rows', 'model, window')]),
      alert.group(
        $._config,
        'ml-guards-labels.rules',
        threshold.rules($._config, ['labelled_rows', 'segment_labelled_rows'])
        + [
          enough('labelled_rows', 'model, window'),
          enough('segment_labelled_rows', 'model, window, segment_by, segment'),
        ]
      ),
    ],
  },

  prometheusAlerts+:: {
    groups+: [
      alert.group($._config, 'ml-models.alerts', [
        alert.missing(
          $._config,
          'MLModelMissing',
          severity='warning',
          layer='freshness',
          family='models',
          expr='ml:model:expected unless on (model) ml:model:owner',
          summary='A model that should report does not.',
          description='No exporter reports model {{ $labels.model }}, which the rules expect; the limit is one. None of its other alerts can fire. '
                      + 'First look whether an alert about the exporter fires too; if not, compare the configuration of the exporter with the list that the rules were generated from.',
        ),
        // A model that had predictions and has none now is one for MLPredictionsLate.
        alert.model(
          $._config,
          'MLPredictionsAbsent',
          severity='warning',
          layer='freshness',
          family='models',
          expr='group by (model) (ml:model:owner)\nunless on (model)\n  ml:last_prediction_timestamp_seconds',
          summary='No prediction of a model has ever been read.',
          description='The exporter knows model {{ $labels.model }} and has not read one prediction of it; the limit is one. None of its other alerts can fire. '
                      + 'First look on the page of refused rows whether its log is read at all, and why its rows are not counted.',
        ),
      ]),
    ],
  },
}
