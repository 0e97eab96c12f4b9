// Drift of the features: one alert a model. A feature counts if its PSI (or the shift of its mean) is large (the threshold) and more
// than its own reference windows show without any drift (the critical value).
local alert = import 'lib/alert.libsonnet';
local comparison = import 'lib/comparison.libsonnet';
local level = import 'lib/level.libsonnet';
local m = import 'lib/metric.libsonnet';
local threshold = import 'lib/threshold.libsonnet';

local drift(config, name, signal, critical, what, worst, summary, first) =
  local compared = threshold.compare('ml:' + signal + ':significant{window="1d"}', '>', signal, '1d', 'warning');
  alert.model(
    config,
    name,
    severity='warning',
    layer='diagnostic',
    family='drift',
    expr=comparison.aggregated('count', 'ml:' + signal + ':significant', '>', signal, '1d', 'warning')
         + '\n' + threshold.enough('ml:window_rows:enough') + comparison.settled,
    summary=summary,
    description=what + ' of model {{ $labels.model }} over the last day: {{ $value }}. '
                + comparison.worst(
                  compared,
                  '1d',
                  'The worst is {{ $worst.Labels.feature }}: ' + worst + ' {{ $worst.Value | printf "%.3g" }}, limit '
                  + threshold.shown(signal, '1d', 'warning', '$worst.Labels')
                  + ', noise floor '
                  + threshold.value('ml:' + critical + '{window="1d"}', ['model', 'feature'], 'printf "%.3g"', '$worst.Labels')
                  + '. '
                )
                + comparison.provisional
                + first,
  );

// Distances that a model asks for, by signal: how they are called.
local distances = { feature_js_distance: 'Jensen-Shannon distance', feature_ks_statistic: 'Kolmogorov-Smirnov statistic', feature_wasserstein: 'Wasserstein distance', feature_spread_factor: 'change of spread' };

// A factor of 1/3 is as far from 1 as one of 3.
local levelOf(config, signal) =
  local made = level.level(config, 'ml_' + signal);
  if signal != 'feature_spread_factor' then made
  else local series = m.read(config, 'ml_' + signal, { baseline: config.baseline });
       made { expr: std.strReplace(made.expr, '(' + series + ')', '(exp(abs(ln(' + series + '))))') };

{
  prometheusRules+:: {
    groups+: [
      alert.group($._config, 'ml-drift.rules', [
        level.level($._config, 'ml_feature_psi'),
        level.level($._config, 'ml_feature_psi_critical'),
        comparison.significant('ml:feature_psi', 'ml:feature_psi_critical', ['model', 'window', 'feature'], ' <= ' + $._config.psiCriticalMaximum),
        {
          // The largest PSI of a model in multiples of its noise floor: the dashboard of all models would have to look at all their features.
          record: 'ml:feature_psi_multiple',
          expr: 'max by (model, window) (ml:feature_psi / on (model, window, feature) ml:feature_psi_critical)',
        },
        level.level($._config, 'ml_feature_mean_shift_sigmas', through='abs'),
        level.level($._config, 'ml_feature_mean_shift_critical_sigmas'),
        comparison.significant('ml:feature_mean_shift_sigmas', 'ml:feature_mean_shift_critical_sigmas', ['model', 'window', 'feature']),
      ]),
      alert.group($._config, 'ml-distances.rules', std.flattenArrays([
        [
          levelOf($._config, signal),
          level.level($._config, 'ml_' + signal + '_critical'),
          comparison.significant('ml:' + signal, 'ml:' + signal + '_critical', ['model', 'window', 'feature']),
        ]
        for signal in std.objectFields(distances)
      ])),
    ],
  },

  prometheusAlerts+:: {
    groups+: [
      alert.group(
        $._config,
        'ml-drift.alerts',
        threshold.rules($._config, ['feature_psi', 'feature_mean_shift_sigmas'])
        + [
          drift(
            $._config,
            'MLFeatureDrift',
            'feature_psi',
            'feature_psi_critical',
            'Drifting features',
            'PSI',
            'Features of a model are distributed differently than in the reference.',
            'First compare the histograms of the named feature, then see whether accuracy or the class shares moved with it.',
          ),
          drift(
            $._config,
            'MLFeatureMeanShift',
            'feature_mean_shift_sigmas',
            'feature_mean_shift_critical_sigmas',
            'Features with a shifted mean',
            'robust standard deviations',
            'The mean of features of a model is far from that of the reference.',
            'First see whether the unit or the default value of the named feature changed upstream.',
          ),
        ]
      ),
      alert.group(
        $._config,
        'ml-distances.alerts',
        threshold.rules($._config, std.objectFields(distances))
        + [
          drift(
            $._config,
            'MLFeatureDistanceHigh',
            signal,
            signal + '_critical',
            'Features with a high ' + distances[signal],
            distances[signal],
            'Features of a model are far from the reference by a distance that was asked for.',
            'First compare the histograms of the named feature, then see whether accuracy or the class shares moved with it.',
          ) + { labels+: { distance: signal } }
          for signal in std.objectFields(distances)
        ]
      ),
    ],
  },
}
