// What has thresholds, one row a signal. For each of `windows` and `severities` there is one row in thresholds.yaml.
//   level   the recorded level whose series get a threshold
//   by      its labels, which are also the ones an override may name; a later one only with those before it
//   format  how a person reads the value (a template function)
//   low     low values are bad: a limit that is switched off (`none`) is then -Inf, else +Inf
// Severity `guard` is not an alert's: it is the number of rows below which the others stay silent.
local perModel = ['model', 'window'];
local perFeature = perModel + ['feature'];
local perSegment = perModel + ['segment_by', 'segment'];
local both = ['warning', 'critical'];
local percent = 'humanizePercentage';

local signal(level, by, windows, severities, format, low=false) =
  { level: level, by: by, windows: windows, severities: severities, format: format, low: low };
local warns(level, by, window, format) = signal(level, by, [window], ['warning'], format);
local pages(level, by, window, format) = signal(level, by, [window], both, format);
local quality(name, severities=both, low=true, format=percent) = signal('ml:' + name, perModel, ['1d'], severities, format, low);

{
  window_rows: signal('ml:window_rows', perModel, ['5m', '1h', '1d'], ['guard'], 'humanize'),
  labelled_rows: signal('ml:labelled_rows', perModel, ['2h', '1d'], ['guard'], 'humanize'),
  segment_labelled_rows: signal('ml:segment_labelled_rows', perSegment, ['1d'], ['guard'], 'humanize'),

  feature_null_excess_ratio: pages('ml:feature_null_excess_ratio', perFeature, '1h', percent),
  feature_invalid_excess_ratio: pages('ml:feature_invalid_excess_ratio', perFeature, '1h', percent),
  feature_out_of_range_excess_ratio: warns('ml:feature_out_of_range_excess_ratio', perFeature, '1h', percent),
  feature_unseen_category_excess_ratio: warns('ml:feature_unseen_category_excess_ratio', perFeature, '1h', percent),
  schema_violation_excess_ratio: pages('ml:schema_violation_excess_ratio', ['model'], '', percent),
  volume_drop_ratio: pages('ml:volume_drop_ratio', perModel, '1h', percent),
  volume_surge_factor: warns('ml:volume_surge_factor', perModel, '1h', 'printf "%.2g"'),

  prediction_repeated_ratio: warns('ml:prediction_repeated_ratio', perModel, '1h', percent),

  feature_psi: warns('ml:feature_psi', perFeature, '1d', 'printf "%.3g"'),
  feature_mean_shift_sigmas: warns('ml:feature_mean_shift_sigmas', perFeature, '1d', 'printf "%.3g"'),

  feature_js_distance: warns('ml:feature_js_distance', perFeature, '1d', 'printf "%.3g"'),
  feature_ks_statistic: warns('ml:feature_ks_statistic', perFeature, '1d', 'printf "%.3g"'),
  feature_wasserstein: warns('ml:feature_wasserstein', perFeature, '1d', 'printf "%.3g"'),
  feature_spread_factor: warns('ml:feature_spread_factor', perFeature, '1d', 'printf "%.3g"'),

  prediction_class_shift_ratio: warns('ml:prediction_class_shift_ratio', perModel, '1d', percent),
  prediction_psi: warns('ml:prediction_psi', perModel, '1d', 'printf "%.3g"'),
  prediction_mean_shift_sigmas: warns('ml:prediction_mean_shift_sigmas', perModel, '1d', 'printf "%.3g"'),
  prediction_outlier_excess_ratio: warns('ml:prediction_outlier_excess_ratio', perModel, '1d', percent),
  prediction_absurd_excess_ratio: warns('ml:prediction_absurd_excess_ratio', perModel, '1d', percent),
  prediction_concentration_excess_ratio: warns('ml:prediction_concentration_excess_ratio', perModel, '1d', percent),
  prediction_spread_change_ratio: warns('ml:prediction_spread_change_ratio', perModel, '1d', percent),
  multivariate_drift: warns('ml:multivariate_drift', perModel, '1d', 'printf "%.3g"'),
  prediction_fallback_ratio: pages('ml:prediction_fallback_ratio', perModel, '1h', percent),
  prediction_error_ratio: pages('ml:prediction_error_ratio', perModel, '1h', percent),

  window_latency_over_limit_ratio: signal('ml:window_latency_over_limit_ratio', perModel, ['1h'], ['critical'], percent),
  window_latency_seconds: warns('ml:window_latency_seconds', perModel, '1h', 'humanizeDuration'),

  accuracy: quality('accuracy'),
  precision: quality('precision'),
  recall: quality('recall'),
  f1: quality('f1', ['warning']),
  roc_auc: quality('roc_auc', ['warning'], format='printf "%.3f"'),
  precision_macro: quality('precision_macro', ['warning']),
  recall_macro: quality('recall_macro', ['warning']),
  f1_macro: quality('f1_macro', ['warning']),
  mean_absolute_error: quality('mean_absolute_error', low=false, format='printf "%.4g"'),
  root_mean_squared_error: quality('root_mean_squared_error', low=false, format='printf "%.4g"'),
  roc_auc_macro: quality('roc_auc_macro', ['warning'], format='printf "%.3f"'),
  log_loss: quality('log_loss', ['warning'], low=false, format='printf "%.4g"'),
  brier_score: quality('brier_score', ['warning'], low=false, format='printf "%.4g"'),
  calibration_gap: warns('ml:calibration_gap_sure', perModel, '1d', percent),
  quality_baseline_loss: warns('ml:quality_baseline_loss', perModel, '1d', percent),
  quality_month_loss: warns('ml:quality_month_loss', perModel, '1d', percent),
  estimated_quality_loss: warns('ml:estimated_quality_loss', perModel, '1d', percent),
  error_budget_ratio: pages('ml:labelled_error_ratio:1h', ['model'], '', percent),
  segment_accuracy_gap: warns('ml:segment_accuracy_gap', perSegment, '1d', percent),
  version_quality_loss: warns('ml:version_quality_loss', perModel, '1d', percent),

  label_age_seconds: warns('ml:label_age_seconds', ['model'], '', 'humanizeDuration'),
  label_coverage_ratio: signal('ml:label_coverage_ratio', perModel, ['1d'], ['warning'], percent, low=true),
  label_selection_coverage_ratio: signal('ml:label_coverage_ratio', perModel, ['1d'], ['guard'], percent, low=true),
  label_selection_psi: warns('ml:label_selection_psi', perModel, '1d', 'printf "%.3g"'),
  prediction_silence_seconds: warns('ml:prediction_silence_seconds', ['model'], '', 'humanizeDuration'),
  baseline_age_seconds: warns('ml:baseline_age_seconds', ['model'], '', 'humanizeDuration'),

  // Not about a model: no window, no override.
  exporter_evaluation_age_seconds: signal('', [], [''], ['critical'], 'humanizeDuration'),
  exporter_source_lag_seconds: signal('', [], [''], ['warning'], 'humanizeDuration'),
  exporter_rejected_ratio: signal('', [], [''], both, percent),
  exporter_clock_jumps: signal('', [], [''], ['warning'], 'printf "%.0f"'),
}
