// How far the other numbers can be trusted: labels that come late, few, or only for some; a baseline that is old or not the same everywhere.
local alert = import 'lib/alert.libsonnet';
local comparison = import 'lib/comparison.libsonnet';
local d = import 'lib/duration.libsonnet';
local level = import 'lib/level.libsonnet';
local threshold = import 'lib/threshold.libsonnet';

local day = 86400;

local age(config, offset) = 'ml:prediction_age_seconds offset ' + d.text(config, offset);

local warning(config, name, family, expr, summary, description) =
  alert.model(config, name, severity='warning', layer='freshness', family=family, expr=expr, summary=summary, description=description);

{
  prometheusRules+:: {
    groups+: [
      alert.group($._config, 'ml-labels.rules', [
        level.level($._config, 'ml_last_label_timestamp_seconds'),
        { record: 'ml:label_age_seconds', expr: 'time() - ml:last_label_timestamp_seconds' },
        level.level($._config, 'ml_label_coverage_ratio', worst='min'),
        level.level($._config, 'ml_label_selection_psi'),
        level.level($._config, 'ml_label_selection_psi_critical'),
        comparison.significant('ml:label_selection_psi', 'ml:label_selection_psi_critical', ['model', 'window'], ' <= ' + $._config.psiCriticalMaximum),
        level.level($._config, 'ml_last_prediction_timestamp_seconds'),
        { record: 'ml:prediction_age_seconds', expr: 'clamp_min(time() - ml:last_prediction_timestamp_seconds, 0)' },
        // Nights and weekends are silent as they always are: of yesterday and a week ago the longer silence is usual.
        {
          record: 'ml:prediction_silence_seconds',
          expr: 'ml:prediction_age_seconds\n- on (model) (\n  (' + age($._config, day) + ' > ' + age($._config, 7 * day) + ')\n  or on (model)\n  (' + age($._config, 7 * day) + ' >= ' + age($._config, day) + ')\n)',
        },
        level.level($._config, 'ml_baseline_created_timestamp_seconds', worst='min'),
        // In event time, so that a replay of old logs with their own baseline has its true age.
        { record: 'ml:baseline_age_seconds', expr: 'ml:last_prediction_timestamp_seconds - on (model) ml:baseline_created_timestamp_seconds' },
      ]),
    ],
  },

  prometheusAlerts+:: {
    groups+: [
      alert.group(
        $._config,
        'ml-labels.alerts',
        threshold.rules($._config, ['label_age_seconds', 'label_coverage_ratio', 'label_selection_coverage_ratio', 'label_selection_psi'])
        + [
          warning(
            $._config,
            'MLLabelsLate',
            'labels',
            threshold.compare('ml:label_age_seconds', '>', 'label_age_seconds', '', 'warning'),
            'No new labels have come for a model.',
            'The newest label of model {{ $labels.model }} is {{ $value | humanizeDuration }} old; the limit is '
            + threshold.shown('label_age_seconds', '', 'warning')
            + '. Its quality is not known since. First see whether the job that writes labels ran, and whether the exporter can read them.',
          ),
          warning(
            $._config,
            'MLLabelCoverageLow',
            'labels',
            threshold.compare('ml:label_coverage_ratio{window="1d"}', '<', 'label_coverage_ratio', '1d', 'warning') + threshold.enough('ml:window_rows:enough'),
            'Too few predictions of a model get a label.',
            'Of the predictions of model {{ $labels.model }} whose labels are due, {{ $value | humanizePercentage }} have one; the limit is '
            + threshold.shown('label_coverage_ratio', '1d', 'warning')
            + '. First see whether labels are read but not matched: then ids have changed.',
          ),
          warning(
            $._config,
            'MLLabelSelectionBias',
            'labels',
            threshold.compare('ml:label_selection_psi:significant{window="1d"}', '>', 'label_selection_psi', '1d', 'warning')
            + 'and on (model, window)\n  (\n'
            + alert.indent(alert.indent(threshold.compare('ml:label_coverage_ratio{window="1d"}', '<', 'label_selection_coverage_ratio', '1d', 'guard')))
            + '\n  )\n' + threshold.enough('ml:window_rows:enough'),
            'The labelled predictions of a model are not like the others.',
            'The scores of labelled and unlabelled predictions of model {{ $labels.model }} have a PSI of {{ $value | printf "%.3g" }} over one day; the limit is '
            + threshold.shown('label_selection_psi', '1d', 'warning')
            + ' and the noise floor '
            + threshold.value('ml:label_selection_psi_critical{window="1d"}', ['model'], 'printf "%.3g"')
            + '; only '
            + threshold.value('ml:label_coverage_ratio{window="1d"}', ['model'], 'humanizePercentage')
            + ' have a label. Quality is measured on a part that is not typical. First see which cases get no label.',
          ),
        ]
      ),
      alert.group(
        $._config,
        'ml-baseline.alerts',
        threshold.rules($._config, ['prediction_silence_seconds', 'baseline_age_seconds'])
        + [
          warning(
            $._config,
            'MLPredictionsLate',
            'volume',
            threshold.compare('ml:prediction_silence_seconds', '>', 'prediction_silence_seconds', '', 'warning'),
            'No new predictions have come for a model.',
            'The newest prediction of model {{ $labels.model }} is '
            + threshold.value('ml:prediction_age_seconds', ['model'], 'humanizeDuration')
            + ' old. That is {{ $value | humanizeDuration }} longer than at this time of yesterday or of last week, whichever was longer; the limit is '
            + threshold.shown('prediction_silence_seconds', '', 'warning')
            + '. All that is shown of the model is from before. First see whether its service answers: if it does, its log does not reach the exporter.',
          ),
          warning(
            $._config,
            'MLBaselineOld',
            'baseline',
            threshold.compare('ml:baseline_age_seconds', '>', 'baseline_age_seconds', '', 'warning'),
            'What a model is compared with is old.',
            'The reference of model {{ $labels.model }} ended {{ $value | humanizeDuration }} before its newest prediction; the limit is '
            + threshold.shown('baseline_age_seconds', '', 'warning')
            + '. First see whether the model was retrained since: its baseline must come from the same time.',
          ),
          warning(
            $._config,
            'MLBaselineMismatch',
            'baseline',
            'count by (model) (ml:baseline_info) > 1',
            'Exporters compare the same model with different baselines.',
            'Model {{ $labels.model }} is compared with {{ $value }} baselines of different content; one is expected. '
            + 'First see which exporter still has the old file: its alerts speak about another reference.',
          ),
        ]
      ),
    ],
  },
}
