// Alerts and their history: what fires, what it cost in attention, and how long it took to end. Prometheus' own series ALERTS is the record.
local board = import 'lib/board.libsonnet';
local link = import 'lib/link.libsonnet';
local panel = import 'lib/panel.libsonnet';
local query = import 'lib/query.libsonnet';

local t = query.target;
local row = query.row;

// An alert that is one for people: not the heartbeat, and without the rungs of its escalation.
local alerts(state, more='') =
  'ALERTS{alertname=~"$alertname",alertname!="MLWatchdog",alertstate="%s",escalation="",model=~"$model",team=~"$team"%s}' % [state, more];
local by = 'alertname, severity, model, team, feature, segment, version, source';
local each(state, more='', at='') = 'group by (%s) (%s%s)' % [by, alerts(state, more), at];
local firing = each('firing');
local before(offset) = each('firing', '', ' offset ' + offset);

// Looked at once a minute. A firing is short if it fired for less than a quarter of an hour before it ended.
local starts = '%s unless %s' % [firing, before('1m')];
local ends = '%s unless %s' % [before('1m'), firing];
local brief = '(%s) and on (%s) (count_over_time((%s)[16m:1m]) < 15)' % [ends, by, firing];
local inRange(expr) = 'count_over_time((%s)[$__range:1m])' % expr;
local total(labels, expr) = 'sum by (%s) (%s)' % [labels, inRange(expr)];
local perWeek(expr) = expr + ' * 604800 / $__range_s';

local history(labels) = {
  firings: total(labels, starts),
  short: total(labels, brief),
  mean: '60 * %s / on (%s) %s' % [total(labels, firing), labels, total(labels, starts)],
  time: '60 * ' + total(labels, firing),
};

local columns(labels) =
  local found = history(labels);
  [
    panel.column('Firings', row(found.firings), 'none'),
    panel.column('A week', row(perWeek(found.firings)), 'none', [], [{ id: 'decimals', value: 1 }]),
    panel.column('Short', row(found.short), 'none', [], panel.redFrom(3, 'orange')),
    panel.column('Short of all', row('%s / on (%s) %s' % [found.short, labels, found.firings]), 'percentunit', [], panel.redFrom(0.5, 'orange') + [{ id: 'decimals', value: 0 }]),
    panel.column('Mean time to end', row(found.mean), 's'),
    panel.column('Time in all', row(found.time), 's'),
  ];

local now(uids) =
  local toModel = link.row(uids.model, 'Open the model', ['model']);
  {
    title: 'Now',
    panels: [
      panel.stat('Pages that fire', 'Critical alerts that fire now. Bad: any that nobody works on.', 'none', t('count(%s) or vector(0)' % each('firing', ',severity="critical"'), 'alerts')) + panel.alarming(),
      panel.stat('Warnings that fire', 'Warnings that fire now. Bad: more than usual: they are read by nobody then.', 'none', t('count(%s) or vector(0)' % each('firing', ',severity="warning"'), 'alerts')) + panel.alarming('orange'),
      panel.stat('Pending', 'Alerts whose condition holds, but not yet for long enough. Bad: many at once: something has just begun.', 'none', t('count(%s) or vector(0)' % each('pending'), 'alerts')),
      panel.stat(
        'Escalated',
        'Pages that nobody silenced in time, so that the next person was called. Bad: any.',
        'none',
        t('count(ALERTS{alertname=~"$alertname",alertstate="firing",escalation!="",model=~"$model",team=~"$team"}) or vector(0)', 'rungs')
      ) + panel.alarming(),
      panel.table(
        'Firing, and for how long within the range',
        'What fires now. Bad: one that has fired for long: either nobody works on it, or its limit is wrong.',
        [
          panel.label('alertname', [link.row(uids.alerts, 'Only this alert', ['alertname'])], 240),
          panel.label('severity'),
          panel.label('model', [toModel], 200),
          panel.label('feature', [link.row(uids.features, 'Open the feature', ['model', 'feature'])]),
          panel.label('segment'),
          panel.label('source'),
          panel.label('team'),
        ],
        [
          panel.column('Fired for', row('60 * count_over_time((%s)[$__range:1m]) and on (%s) %s' % [firing, by, firing]), 's'),
        ],
        { by: 'Fired for', descending: true }
      ),
      panel.timeline(
        'When each alert fired',
        'Every alert while it fires: orange a warning, red a page. Bad: bars that come and go (noise), or that began together (one cause). Read the first to begin first.',
        t(
          query.firing('model, feature, segment, version, source', 'alertname=~"$alertname",model=~"$model",team=~"$team"'),
          '{{alertname}} {{model}} {{feature}} {{segment}} {{version}} {{source}}'
        ),
        height=12
      ) + panel.leads([link.line(uids.alerts, 'Only this alert', ['alertname'])]),
    ],
  };

local past(uids) = {
  title: 'History over the range: noise, and time to end',
  panels: [
    panel.stat('Firings', 'Alerts that began to fire within the range. Bad: more than people can look into.', 'none', t('sum(%s) or vector(0)' % inRange(starts), 'firings')) + panel.instant,
    panel.stat('Firings a week', 'The same, for a week. Bad: more than was agreed on with whoever is on call.', 'none', t('sum(%s) * 604800 / $__range_s or vector(0)' % inRange(starts), 'firings')) + panel.instant,
    panel.stat(
      'Short firings',
      'Share of firings that ended within a quarter of an hour. Bad: above a few percent: nobody could act on them. Raise the limit or the time in `for`.',
      'percentunit',
      t('(sum(%s) or vector(0)) / (sum(%s) > 0)' % [inRange(brief), inRange(starts)], 'share')
    ) + panel.instant,
    panel.stat(
      'Mean time to end',
      'How long an alert fired on average. Bad: growing. One that fires still counts with its time so far.',
      's',
      t('60 * sum(%s) / sum(%s)' % [inRange(firing), inRange(starts)], 'mean')
    ) + panel.instant,
    panel.table(
      'By alert',
      'Which alert costs most attention. Bad: many firings, of which many are short: noise. Few but long ones: nobody owns them.',
      [panel.label('alertname', [link.row(uids.alerts, 'Only this alert', ['alertname'])], 240), panel.label('severity', [], 90)],
      columns('alertname, severity'),
      { by: 'Firings', descending: true }
    ),
    panel.table(
      'By model',
      'Which model costs most attention. Bad: a model with many times the firings of the others.',
      [panel.label('model', [link.row(uids.model, 'Open the model', ['model'])], 200)],
      columns('model'),
      { by: 'Firings', descending: true },
      width=12
    ),
    panel.table(
      'By team',
      'Which team is told most. Bad: more firings a week than it can look into.',
      [panel.label('team', [link.row(uids.alerts, 'Only this team', ['team'])], 160)],
      columns('team'),
      { by: 'Firings', descending: true },
      width=12
    ),
    panel.timeseries(
      'Firings an hour',
      'Alerts that began to fire in the hour before. Bad: a burst (one cause, many alerts), or a pattern by the hour of the day (a limit that ignores it).',
      'none',
      [t('sum by (alertname) (count_over_time((%s)[1h:1m]))' % starts, '{{alertname}}')],
      width=12
    ) + panel.stacked + { interval: '1h' },
    panel.timeseries(
      'Firing and pending',
      'Alerts by severity and state. Bad: a level that does not come down.',
      'none',
      [
        t('count by (severity) (%s)' % firing, 'firing, {{severity}}'),
        t('count by (severity) (%s)' % each('pending'), 'pending, {{severity}}'),
      ],
      width=12
    ),
  ],
};

local rate(series, labels) = 'sum by (%s) (rate(%s[$__rate_interval]))' % [labels, series];

local delivery = {
  title: 'Delivery: do notifications arrive (Prometheus and Alertmanager; all alerts, not only ours)',
  panels: [
    panel.timeseries(
      'Notifications',
      'Notifications that Alertmanager sent, by the kind of receiver. Bad: none while alerts fire. Empty if this Prometheus does not scrape Alertmanager.',
      'ops',
      [t(rate('alertmanager_notifications_total', 'integration'), '{{integration}}')]
    ),
    panel.timeseries(
      'Failed notifications',
      'Notifications that a receiver refused. Bad: any: somebody was not told.',
      'ops',
      [t(rate('alertmanager_notifications_failed_total', 'integration'), '{{integration}}')]
    ),
    panel.timeseries(
      'Time to deliver',
      'How long sending takes, 95 of 100 below the line. Bad: seconds become minutes.',
      's',
      [t('histogram_quantile(0.95, %s)' % rate('alertmanager_notification_latency_seconds_bucket', 'le, integration'), '{{integration}}')]
    ),
    panel.timeseries(
      'Silences, and alerts that are muted',
      'Active silences, and alerts that a silence or inhibition mutes. Bad: silences that nobody removes, or everything muted.',
      'none',
      [
        t('max(alertmanager_silences{state="active"})', 'active silences'),
        t('max(alertmanager_alerts{state="suppressed"})', 'muted alerts'),
        t('max(alertmanager_alerts{state="active"})', 'active alerts'),
      ]
    ),
    panel.timeseries(
      'Between Prometheus and Alertmanager',
      'Notifications that Prometheus dropped or could not hand over. Bad: any.',
      'ops',
      [
        t('sum(rate(prometheus_notifications_dropped_total[$__rate_interval]))', 'dropped'),
        t('sum(rate(prometheus_notifications_errors_total[$__rate_interval]))', 'errors'),
      ]
    ),
    panel.timeseries(
      'Alertmanagers that Prometheus knows',
      'Alertmanagers that get alerts. Bad: 0: nobody is told anything.',
      'none',
      [t('max(prometheus_notifications_alertmanagers_discovered)', 'Alertmanagers')]
    ),
  ],
};

{
  grafanaDashboards+:: {
    local uids = $._config.dashboardUids,
    [$._config.dashboardUids.alerts + '.json']: board.board($._config, {
      uid: uids.alerts,
      title: 'ML alerts',
      description: 'What fires, what fired, how often for nothing, and whether anybody was told.',
      from: 'now-7d',
      // A week with a hundred alerts that come and go takes Prometheus eight seconds of CPU time.
      refresh: '5m',
      variables: [
        board.several('model', 'Model', 'ALERTS{alertname=~"ML.+"}'),
        board.several('team', 'Team', 'ALERTS{alertname=~"ML.+"}'),
        board.several('alertname', 'Alert', 'ALERTS{alertname=~"ML.+"}') { allValue: 'ML.+' },
      ],
      annotations: [board.newVersion($._config, 'model=~"$model"') { enable: false }],
      onward: [link.to(uids.overview, 'Which model is ill', ['team'])],
      rows: [now(uids), past(uids), delivery],
    }),
  },
}
