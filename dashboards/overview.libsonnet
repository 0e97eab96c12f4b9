// The fleet: which model is ill, the most urgent first.
local board = import 'lib/board.libsonnet';
local link = import 'lib/link.libsonnet';
local panel = import 'lib/panel.libsonnet';
local query = import 'lib/query.libsonnet';
local threshold = import '../rules/lib/threshold.libsonnet';

local t = query.target;
local row = query.row;

// Models of the chosen teams and tiers, and what a series says about them.
local chosen = '{team=~"$team",tier=~"$tier"}';
local owners = '(ml:model:owner%s or on (model) ml:model:expected%s)' % [chosen, chosen];
local ofChosen(expr) = expr + ' and on (model) ' + owners;
local firing(severity, more='') =
  'ALERTS{alertname=~"ML.+",alertstate="firing",escalation="",severity="%s",layer!="meta",team=~"$team",tier=~"$tier"%s}' % [severity, more];
local has(severity) = 'group by (model) (%s)' % firing(severity);
local worst = '2 * %s\nor on (model) %s\nor on (model) 0 * group by (model) (%s)' % [has('critical'), has('warning'), owners];

// Tier 1 before 2 before 3; a tier that is no number from 1 to 4 comes last.
local importance = std.join('\nor on (model) ', [
  '%d * group by (model) (%s)' % [5 - tier, std.strReplace(owners, chosen, '{team=~"$team",tier="%d"}' % tier)]
  for tier in [1, 2, 3, 4]
] + ['0 * group by (model) (%s)' % owners]);
local urgency = '10 * (\n%s\n)\n+ on (model) (\n%s\n)' % [worst, importance];

local driftRatio = 'max by (model) (ml:feature_psi_multiple{window="1d"})';
local lineOf = '{{model}}';

// Rows of the table carry all labels of the owner, so that they merge into one a model.
local ofOwner(expr) = row('(%s)\n* on (model) group_left (team, tier) %s' % [expr, owners]);

local now(uids) =
  local toModel = link.row(uids.model, 'Open the model', ['model']);
  {
    title: 'Now: which model is ill',
    panels: [
      panel.stat(
        'Models',
        'Models that report, of the chosen teams and tiers. Bad: fewer than yesterday.',
        'none',
        t('count(ml:model:owner%s) or vector(0)' % chosen, 'models'),
        width=4
      ),
      panel.stat(
        'Models with a page',
        'Models with a critical alert that fires now. Bad: any.',
        'none',
        t('count(%s) or vector(0)' % has('critical'), 'models'),
        width=4
      ) + panel.alarming(),
      panel.stat(
        'Models with only warnings',
        'Models with a warning and no critical alert. Bad: more than usual; each has an entry in the table below.',
        'none',
        t('count(%s unless on (model) %s) or vector(0)' % [has('warning'), has('critical')], 'models'),
        width=4
      ) + panel.alarming('orange'),
      panel.stat(
        'Models that do not report',
        'Models that the rules expect and no exporter reports. Bad: any: none of their alerts can fire.',
        'none',
        t('count(ml:model:expected%s unless on (model) ml:model:owner) or vector(0)' % chosen, 'models'),
        width=4
      ) + panel.alarming(),
      panel.stat(
        'Exporters that answer',
        'Share of the targets of the exporter that Prometheus can scrape. Bad: below 100 %: models are not watched.',
        'percentunit',
        t('avg(up{job="$job"})', 'up'),
        width=4
      ) + panel.onward([link.to(uids.exporter, 'Open the exporter', [])]),
      panel.stat(
        'Alerts about the exporter',
        'Alerts about the monitoring itself. Bad: any: what is shown here may be old or incomplete.',
        'none',
        t('count(group by (alertname, severity) (ALERTS{alertname=~"ML.+",alertname!="MLWatchdog",alertstate="firing",layer="meta",escalation=""})) or vector(0)', 'alerts'),
        width=4
      ) + panel.alarming() + panel.onward([link.to(uids.exporter, 'Open the exporter', [])]),
      panel.table(
        'Models, the most urgent first',
        'Critical alerts before warnings before none, then tier 1 before 2. Drift: the largest PSI of a feature, in multiples of what it exceeds only by chance. '
        + 'Bad: red. An empty cell has no data: no labels yet, no latency in the log, or a window with too few rows.',
        [
          panel.label('model', [toModel], 200),
          panel.label('tier', [], 60),
          panel.label('team', [link.row(uids.alerts, 'Alerts of the team', ['team'])], 140),
        ],
        [
          panel.hidden('urgency', ofOwner(urgency)),
          panel.column('State', ofOwner(worst), 'none', [toModel], panel.severity) { first: true },
          panel.column('Critical', ofOwner('count by (model) (%s)' % firing('critical')), 'none', [link.row(uids.alerts, 'Open its alerts', ['model'])], panel.redFrom(1)),
          panel.column('Warnings', ofOwner('count by (model) (%s)' % firing('warning')), 'none', [link.row(uids.alerts, 'Open its alerts', ['model'])], panel.redFrom(1, 'orange')),
          panel.column('Drift', ofOwner(driftRatio), 'none', [link.row(uids.features, 'Open its features', ['model'])], panel.redFrom(1, 'orange') + [{ id: 'decimals', value: 2 }]),
          panel.column(
            'Worse than the reference',
            ofOwner('max by (model) (ml:quality_baseline_loss{window="1d"})'),
            'percentunit',
            [link.row(uids.labels, 'Open its quality', ['model'])],
            panel.redFrom(0, 'orange') + [{ id: 'decimals', value: 1 }]
          ),
          panel.column('Slow, 1h', ofOwner('max by (model) (ml:window_latency_over_limit_ratio{window="1h"})'), 'percentunit', [link.row(uids.latency, 'Open its latency', ['model'])], [{ id: 'decimals', value: 1 }]),
          panel.column('Default answers, 1h', ofOwner('max by (model) (ml:prediction_fallback_ratio{window="1h"})'), 'percentunit', [toModel], [{ id: 'decimals', value: 1 }]),
          panel.column('Predictions, 1h', ofOwner('max by (model) (ml:window_rows{window="1h"})'), 'short', [link.row(uids.latency, 'Open its volume', ['model'])]),
          panel.column('Labelled, 1d', ofOwner('max by (model) (ml:label_coverage_ratio{window="1d"})'), 'percentunit', [link.row(uids.labels, 'Open its labels', ['model'])], [{ id: 'decimals', value: 0 }]),
          panel.column('Newest prediction', ofOwner('time() - max by (model) (ml:last_prediction_timestamp_seconds)'), 's', [toModel]),
        ],
        { by: 'urgency', descending: true }
      ),
      panel.table(
        'Firing alerts',
        'What fires now, the pages first. Bad: any row. Alerts about the exporter come with model `none`: look at them before the others.',
        [
          panel.label('alertname', [link.row(uids.alerts, 'Open its history', ['alertname'])], 230),
          panel.label('model', [toModel], 200),
          panel.label('feature', [link.row(uids.features, 'Open the feature', ['model', 'feature'])]),
          panel.label('layer'),
          panel.label('team'),
          panel.label('tier', [], 60),
        ],
        [
          panel.column(
            'Severity',
            row(
              // Both severities of an alert fire together, with the same labels: the critical one first, so that it is shown.
              '2 * group by (alertname, model, feature, segment, layer, team, tier) (ALERTS{alertname=~"ML.+",alertstate="firing",escalation="",team=~"$team",tier=~"$tier",severity="critical"})\n'
              + 'or group by (alertname, model, feature, segment, layer, team, tier) (ALERTS{alertname=~"ML.+",alertname!="MLWatchdog",alertstate="firing",escalation="",team=~"$team",tier=~"$tier",severity="warning"})'
            ),
            'none',
            [],
            panel.severity
          ) { first: true },
        ],
        { by: 'Severity', descending: true },
        height=8
      ),
    ],
  };

local before(uids) = {
  title: 'Since when',
  panels: [
    panel.timeline(
      'State of each model that was ill',
      'When each model had a warning or a critical alert; the thirty that were worst. Bad: red. Models that began together share a cause.',
      t(query.largest(30, '2 * %s\nor on (model) %s' % [has('critical'), has('warning')], 'model', '1m'), lineOf),
      height=8
    ) + panel.leads([link.line(uids.model, 'Open the model', ['model'])]),
    panel.timeseries(
      'Drift',
      'The largest PSI among the features of a model, in multiples of the noise floor of the feature. The ten models that were highest are shown. '
      + 'Bad: above 1, and above the limit on PSI that its own page shows.',
      'none',
      [t(query.largest(10, ofChosen(driftRatio), 'model'), lineOf), t('vector(1)', 'noise floor')],
      width=12
    ) + panel.leads([link.line(uids.features, 'Open its features', ['model'])]),
    panel.timeseries(
      'Clearly worse than the reference',
      'By how much the better end of the interval of the worst measure of a model is worse than the reference. The ten models that were worst are shown. Bad: above the limit.',
      'percentunit',
      [
        t(query.largest(10, ofChosen('max by (model) (ml:quality_baseline_loss{window="1d"})'), 'model'), lineOf),
        t('min (%s)' % threshold.series('quality_baseline_loss', '1d', 'warning'), 'warning limit (lowest)'),
      ],
      width=12
    ) + panel.leads([link.line(uids.labels, 'Open its quality', ['model'])]),
    panel.timeseries(
      'Slower than agreed, one hour',
      'Share of predictions above the latency limit of the model. The ten that were slowest are shown. Bad: above the limit.',
      'percentunit',
      [
        t(query.largest(10, ofChosen('max by (model) (ml:window_latency_over_limit_ratio{window="1h"})'), 'model'), lineOf),
        t('min (%s)' % threshold.series('window_latency_over_limit_ratio', '1h', 'critical'), 'critical limit (lowest)'),
      ],
      width=12
    ) + panel.leads([link.line(uids.latency, 'Open its latency', ['model'])]),
    panel.timeseries(
      'Predictions, one hour',
      'Predictions of the last hour; the ten models with most are shown. Bad: a fall to nothing, or a step without a reason in the business.',
      'short',
      [t(query.largest(10, ofChosen('max by (model) (ml:window_rows{window="1h"})'), 'model'), lineOf)],
      width=12
    ) + panel.leads([link.line(uids.latency, 'Open its volume', ['model'])]),
  ],
};

{
  grafanaDashboards+:: {
    local uids = $._config.dashboardUids,
    local job(item) = item {
      targets: [target { expr: std.strReplace(target.expr, '$job', $._config.job) } for target in item.targets],
    },
    [$._config.dashboardUids.overview + '.json']: board.board($._config, {
      uid: uids.overview,
      title: 'ML overview',
      description: 'All models: which is ill, the most urgent first, and since when.',
      variables: [
        board.several('team', 'Team', 'ml:model:owner'),
        board.several('tier', 'Tier', 'ml:model:owner'),
      ],
      annotations: board.firing('team=~"$team",tier=~"$tier"'),
      onward: [link.to(uids.alerts, 'Open the alerts', ['team'])],
      rows: [section { panels: [job(item) for item in section.panels] } for section in [now(uids), before(uids)]],
    }),
  },
}
