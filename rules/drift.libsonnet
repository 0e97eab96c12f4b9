// Drift of the features: one alert a model. A feature counts if its PSI is large (the threshold) and more than its own
// reference windows show without any drift (the critical value).
local alert = import 'lib/alert.libsonnet';
local level = import 'lib/level.libsonnet';
local threshold = import 'lib/threshold.libsonnet';

local drifting = threshold.compare('ml:feature_psi:significant{window="1d"}', '>', 'feature_psi', '1d', 'warning');

// The feature with the largest PSI among the drifting ones, with what it was compared with.
local worst =
  local query = std.strReplace(
    std.join(' ', [std.stripChars(line, ' ') for line in std.split(std.stripChars(drifting, '\n'), '\n')]),
    '{window="1d"}',
    '{window="1d",model=%q}',
  );
  '{{ with printf `sort_desc(' + query + ')` $labels.model | query }}{{ $worst := first . }}'
  + 'The worst is {{ $worst.Labels.feature }}: PSI {{ $worst.Value | printf "%.3g" }}, limit '
  + threshold.shown('feature_psi', '1d', 'warning', '$worst.Labels')
  + ', noise floor '
  + threshold.value('ml:feature_psi_critical{window="1d"}', ['model', 'feature'], 'printf "%.3g"', '$worst.Labels')
  + '. {{ end }}';

local provisional =
  '{{ with printf `ml:baseline_info{dispersion!="learned",model=%q}` $labels.model | query }}'
  + 'The noise floor is {{ . | first | label "dispersion" }}, because the reference has too few windows: this may be a false alarm. {{ end }}';

{
  prometheusRules+:: {
    groups+: [
      alert.group($._config, 'ml-drift.rules', [
        level.level($._config, 'ml_feature_psi'),
        level.level($._config, 'ml_feature_psi_critical'),
        {
          record: 'ml:feature_psi:significant',
          expr: |||
            ml:feature_psi
            > on (model, window, feature) group_left ()
              max by (model, window, feature) (ml:feature_psi_critical <= %g)
          ||| % $._config.psiCriticalMaximum,
        },
      ]),
    ],
  },

  prometheusAlerts+:: {
    groups+: [
      alert.group(
        $._config,
        'ml-drift.alerts',
        threshold.rules($._config, ['feature_psi'])
        + [
          alert.model(
            $._config,
            'MLFeatureDrift',
            severity='warning',
            layer='diagnostic',
            family='drift',
            expr='count by (model, window) (\n' + alert.indent(drifting) + '\n)\nand on (model, window)\n  ml:window_rows:enough',
            summary='Features of a model are distributed differently than in the reference.',
            description='Drifting features of model {{ $labels.model }} over the last day: {{ $value }}. '
                        + worst
                        + provisional
                        + 'First compare the histograms of the named feature, then see whether accuracy or the class shares moved with it.',
          ),
        ]
      ),
    ],
  },
}
