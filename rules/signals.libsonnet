// What has thresholds, one row a signal. For each of `windows` and `severities` there is one row in thresholds.yaml.
//   level   the recorded level whose series get a threshold
//   by      its labels, which are also the ones an override may name
//   format  how a person reads the value (a template function)
// Severity `guard` is not an alert's: it is the number of rows below which the others stay silent.
local perModel = ['model', 'window'];
local perFeature = perModel + ['feature'];

{
  window_rows: { level: 'ml:window_rows', by: perModel, windows: ['5m', '1h', '1d'], severities: ['guard'], format: 'humanize' },
  labelled_rows: { level: 'ml:labelled_rows', by: perModel, windows: ['2h', '1d'], severities: ['guard'], format: 'humanize' },

  feature_null_excess_ratio: {
    level: 'ml:feature_null_excess_ratio',
    by: perFeature,
    windows: ['1h'],
    severities: ['warning', 'critical'],
    format: 'humanizePercentage',
  },
  feature_psi: { level: 'ml:feature_psi', by: perFeature, windows: ['1d'], severities: ['warning'], format: 'printf "%.3g"' },

  prediction_class_shift_ratio: {
    level: 'ml:prediction_class_shift_ratio',
    by: perModel,
    windows: ['1d'],
    severities: ['warning'],
    format: 'humanizePercentage',
  },
  prediction_fallback_ratio: {
    level: 'ml:prediction_fallback_ratio',
    by: perModel,
    windows: ['1h'],
    severities: ['warning', 'critical'],
    format: 'humanizePercentage',
  },

  window_latency_over_limit_ratio: {
    level: 'ml:window_latency_over_limit_ratio',
    by: perModel,
    windows: ['1h'],
    severities: ['critical'],
    format: 'humanizePercentage',
  },
  window_latency_seconds: {
    level: 'ml:window_latency_seconds',
    by: perModel,
    windows: ['1h'],
    severities: ['warning'],
    format: 'humanizeDuration',
  },

  accuracy: { level: 'ml:accuracy', by: perModel, windows: ['1d'], severities: ['warning', 'critical'], format: 'humanizePercentage' },
  roc_auc: { level: 'ml:roc_auc', by: perModel, windows: ['1d'], severities: ['warning'], format: 'printf "%.3f"' },

  // Not about a model: no window, no override.
  exporter_evaluation_age_seconds: { by: [], windows: [''], severities: ['critical'], format: 'humanizeDuration' },
}
