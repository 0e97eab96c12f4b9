// What every other family builds on: who owns a model, how many rows a window has, and whether that is enough.
local alert = import 'lib/alert.libsonnet';
local level = import 'lib/level.libsonnet';
local m = import 'lib/metric.libsonnet';
local threshold = import 'lib/threshold.libsonnet';

local enough(signal) = {
  record: 'ml:' + signal + ':enough',
  expr: 'ml:' + signal + '\n>= on (model, window)\n'
        + '  max by (model, window) (ml:threshold:effective{signal="' + signal + '",severity="guard"})',
};

{
  prometheusRules+:: {
    groups+: [
      alert.group($._config, 'ml-models.rules', [
        {
          // Exactly one series a model, whatever happens: while a roll-out changes the owner, the majority of replicas decides.
          record: 'ml:model:owner',
          expr: 'group by (model, team, tier) (\n  topk by (model) (1, count by (model, team, tier) ('
                + m.metric('ml_model_info')
                + '))\n)',
        },
      ] + [
        { record: 'ml:model:expected', expr: '1', labels: item }
        for item in $._config.expectedModels
      ] + [
        level.level($._config, 'ml_baseline_info'),
        level.level($._config, 'ml_window_rows'),
        level.level($._config, 'ml_labelled_rows'),
      ]),
      alert.group(
        $._config,
        'ml-guards.rules',
        threshold.rules($._config, ['window_rows', 'labelled_rows']) + [enough('window_rows'), enough('labelled_rows')]
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
      ]),
    ],
  },
}
