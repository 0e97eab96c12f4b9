// Every knob of the pack. Override it as in any mixin: (import 'mixin.libsonnet') + { _config+:: { job: 'fraud-exporter' } }.
// Durations are seconds. Thresholds and routing are data of their own: thresholds.yaml and routing.yaml.
local minute = 60;
local hour = 60 * minute;

// Parsed once: a field would be evaluated again at every use.
local thresholds = std.parseYaml(importstr 'thresholds.yaml');
local routing = std.parseYaml(importstr 'routing.yaml');

{
  _config+:: {
    // The exporter's job in Prometheus, and who is called when the exporter itself fails.
    job: 'ml-exporter',
    exporterOwner: { team: 'ml-platform', tier: '1' },

    // Matchers for everything that rules read of the exporter, such as 'env="prod"': for a Prometheus that scrapes exporters of several
    // environments, whose models have the same names. Empty: all exporters are replicas of one.
    selector: '',

    // Models that must report: [{model: 'fraud', team: 'payments', tier: '1'}]. Written by `ml-exporter generate` from its configuration.
    expectedModels: [],

    // What features and predictions are compared with, and the labels that tell replicas of one exporter apart.
    baseline: 'reference',
    replicaLabels: ['instance', 'pod', 'job', 'container', 'endpoint', 'node', 'service'],

    // A noise floor above this PSI means that the window is too short for the feature: no drift alert.
    psiCriticalMaximum: 1,

    // %s is the name of the alert. Alerts about the exporter never point at the exporter, so they have a pattern of their own.
    runbookURLPattern: 'https://github.com/ml-exporter/ml-exporter/blob/main/runbooks/%s.md',
    metaRunbookURLPattern: 'https://github.com/ml-exporter/ml-exporter/blob/main/runbooks/%s.md',
    grafanaURL: 'http://localhost:3000',

    // The exporter as people reach it (its --web.external-url), or null. With it, alerts about models have a `page_url`: the page of the
    // model or feature; and where runbookURLPattern is below it ('https://ml.example.org/runbooks/%s'), runbooks open with the model's numbers.
    exporterURL: null,

    // The dashboards, by what they are about. A uid is at most 40 characters, and stays: links and bookmarks name it.
    dashboardUids: {
      overview: 'ml-overview',
      model: 'ml-model',
      features: 'ml-features',
      labels: 'ml-labels',
      latency: 'ml-latency',
      alerts: 'ml-alerts',
      exporter: 'ml-exporter',
    },

    // The folder that Grafana shows them in, and where their files lie on its machine when a file provider loads them.
    grafanaFolder: 'ML',
    grafanaDashboardsPath: '/var/lib/grafana/dashboards/ml-exporter',

    // `thresholdChanges` are rows as in thresholds.yaml, of which only what differs has to be there: std.parseYaml(importstr 'mine.yaml').
    thresholds: thresholds,
    thresholdChanges: [],
    routing: routing,

    // A compressed demo divides all durations of event time by this. The labels window="1d" keep their names.
    divideDurations: 1,
    shortestDurationSeconds: 1,
    // Alerts about the exporter live in the clock's time: division stops here, above a scrape and an evaluation.
    shortestMetaDurationSeconds: 30,

    evaluationIntervalSeconds: minute,

    // How long a new model, or one with a new baseline, raises no alert about what is compared with the baseline over a day. It must have
    // been seen in the day before that.
    quietSeconds: 24 * hour,

    // How MLQualityBelowBaseline counts: 'relative' (5 % of 0.80 is 0.04) or 'points' (0.05 of any value). Errors of regressions are always relative.
    qualityLoss: 'relative',

    // Below this number of labels in a window, a share of wrong answers says nothing about the error budget.
    burnLabelsAtLeast: 20,

    // Below this number of lines an hour, a share of refused ones says nothing.
    rejectedRowsAtLeast: 100,

    // `for` is at least a quarter of the shortest window that the alert reads: windows slide, so neighbouring values agree.
    // `keepFiring` bridges gaps in the data, which would look like a recovery.
    alerts: {
      MLFeatureNullRatioHigh: { 'for': 15 * minute, keepFiring: 15 * minute },
      MLFeatureInvalidHigh: { 'for': 15 * minute, keepFiring: 15 * minute },
      MLFeatureOutOfRangeHigh: { 'for': 30 * minute, keepFiring: 15 * minute },
      MLFeatureUnseenHigh: { 'for': 30 * minute, keepFiring: 15 * minute },
      MLSchemaViolations: { 'for': 15 * minute, keepFiring: 15 * minute },
      MLVolumeDrop: { 'for': 15 * minute, keepFiring: 15 * minute },
      MLVolumeSurge: { 'for': 30 * minute, keepFiring: 15 * minute },
      MLPredictionsRepeated: { 'for': 30 * minute, keepFiring: 15 * minute },
      MLFeatureDrift: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLFeatureMeanShift: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLPredictionClassShift: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLPredictionDrift: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLPredictionMeanShift: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLOutlierExcess: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLPredictionAbsurd: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLPredictionSpreadChange: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLPredictionFrozen: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLMultivariateDrift: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLPredictionFallbackHigh: { 'for': 15 * minute, keepFiring: 10 * minute },
      MLPredictionErrorHigh: { 'for': 15 * minute, keepFiring: 10 * minute },
      MLLatencyOverLimit: { 'for': 5 * minute, keepFiring: 10 * minute },
      MLLatencyQuantileHigh: { 'for': 15 * minute, keepFiring: 15 * minute },
      MLAccuracyLow: { 'for': 30 * minute, keepFiring: 30 * minute },
      MLPrecisionLow: { 'for': 30 * minute, keepFiring: 30 * minute },
      MLRecallLow: { 'for': 30 * minute, keepFiring: 30 * minute },
      MLMeanAbsoluteErrorHigh: { 'for': 30 * minute, keepFiring: 30 * minute },
      MLRootMeanSquaredErrorHigh: { 'for': 30 * minute, keepFiring: 30 * minute },
      MLF1Low: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLRocAucLow: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLPrecisionMacroLow: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLRecallMacroLow: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLF1MacroLow: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLRocAucMacroLow: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLLogLossHigh: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLBrierScoreHigh: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLCalibrationGapHigh: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLQualityBelowBaseline: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLSegmentWorse: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLVersionWorse: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLQualityDropped: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLEstimatedQualityLow: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLErrorBudgetBurn: { 'for': 5 * minute, keepFiring: 10 * minute },
      MLFeatureDistanceHigh: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLLatencyOutOfControl: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLVolumeOutOfControl: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLConfidenceDrop: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLAccuracyOutOfControl: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLLabelsLate: { 'for': 30 * minute, keepFiring: 30 * minute },
      MLLabelCoverageLow: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLLabelSelectionBias: { 'for': 6 * hour, keepFiring: 1 * hour },
      MLPredictionsLate: { 'for': 15 * minute, keepFiring: 15 * minute },
      MLBaselineOld: { 'for': 1 * hour, keepFiring: 30 * minute },
      MLBaselineMismatch: { 'for': 1 * hour, keepFiring: 0 },
      MLThresholdMissing: { 'for': 1 * hour, keepFiring: 0 },
      MLModelMissing: { 'for': 15 * minute, keepFiring: 0 },
      MLPredictionsAbsent: { 'for': 1 * hour, keepFiring: 0 },
      MLExporterAbsent: { 'for': 10 * minute, keepFiring: 0 },
      MLExporterDown: { 'for': 5 * minute, keepFiring: 0 },
      MLExporterStale: { 'for': 5 * minute, keepFiring: 0 },
      MLSeriesCapped: { 'for': 15 * minute, keepFiring: 10 * minute },
      MLReloadFailed: { 'for': 5 * minute, keepFiring: 0 },
      MLWebConfigRefused: { 'for': 5 * minute, keepFiring: 0 },
      MLClockJumping: { 'for': 5 * minute, keepFiring: 0 },
      MLRuleEvaluationFailing: { 'for': 10 * minute, keepFiring: 10 * minute },
      MLSourceFailing: { 'for': 15 * minute, keepFiring: 10 * minute },
      MLSourceLagging: { 'for': 15 * minute, keepFiring: 10 * minute },
      MLRowsRejected: { 'for': 15 * minute, keepFiring: 15 * minute },
      MLStateFailing: { 'for': 15 * minute, keepFiring: 10 * minute },
      MLStateSetAside: { 'for': 5 * minute, keepFiring: 0 },
      MLDeadLetterFailing: { 'for': 5 * minute, keepFiring: 0 },
      MLWatchdog: { 'for': 0, keepFiring: 0 },
    },

    // A rung of a ladder is not called before an alert could have ended after a fix: quality needs two hours with enough labels for that.
    escalation: { notBefore: { quality: 2 * hour } },

    // Where the resources of the Prometheus operator go (null: there are none), and the labels that it selects rules by.
    operatorNamespace: null,
    operatorLabels: { role: 'alert-rules' },

    // Alertmanager. A page goes out at once; its group waits only for the causes that arrive with it.
    alertmanager: {
      resolveTimeoutSeconds: 5 * minute,
      pages: { waitSeconds: 30, intervalSeconds: 5 * minute, repeatSeconds: 4 * hour },
      warnings: { waitSeconds: 2 * minute, intervalSeconds: 15 * minute, repeatSeconds: 24 * hour },
      // The repeat is shorter than the interval: at equal times every other heartbeat would be left out.
      heartbeat: { waitSeconds: 0, intervalSeconds: 60, repeatSeconds: 50 },
    },
  },
}
