// The Alertmanager configuration, from routing.yaml: who is paged, who is written to, who is called next, and what mutes what.
local d = import 'lib/duration.libsonnet';
local kinds = import 'lib/receivers.libsonnet';
local routing = import 'lib/routing.libsonnet';

local ours = 'alertname=~"ML.+"';

local timers(config, settings) = {
  group_wait: d.text(config, settings.waitSeconds),
  group_interval: d.text(config, settings.intervalSeconds),
  repeat_interval: d.text(config, settings.repeatSeconds),
};

local only(hours) = if hours == null then {} else { active_time_intervals: [hours] };

// What wakes people: the rungs of the ladder, highest first, then the page itself.
local waking(config, target, matchers, hours) =
  [
    { matchers: ['severity="critical"', 'escalation="%s"' % rung.level] + matchers, receiver: routing.together(rung.receivers) }
    + timers(config, config.alertmanager.pages { waitSeconds: 0 })
    + only(hours)
    for rung in std.reverse(target.ladder)
  ]
  + [{ matchers: ['severity="critical"', 'escalation=""'] + matchers, receiver: routing.together(target.pages) } + timers(config, config.alertmanager.pages) + only(hours)];

// The routes of a team, or of everybody else.
local routes(config, target) =
  local matchers = if target.team == null then [] else ['team="%s"' % target.team];
  local asleep = routing.asleep(config.routing);
  local resting =
    if asleep == [] then []
    else if target.hours == null then
      error 'routing: expected office hours of %s, because tier %s does not wake anybody, got none. Add `office_hours`.'
            % [if target.team == null then 'default' else target.team, asleep[0]]
    else waking(config, target, matchers + ['tier=~"%s"' % std.join('|', asleep)], target.hours);
  resting
  + waking(config, target, matchers, null)
  + [
    { matchers: ['severity="warning"'] + matchers, receiver: routing.together(target.warnings) }
    + timers(config, config.alertmanager.warnings)
    + only(target.hours),
  ];

// A receiver of routing.yaml, as it is configured.
local receiver(config, name) =
  local settings = config.receivers[name];
  local unknown = [kind for kind in std.objectFields(settings) if !std.objectHasAll(kinds, kind)];
  if unknown != [] || std.length(settings) == 0 then
    error 'routing: expected a webhook, slack, email, pagerduty or opsgenie in receiver %s, got %s. Correct it.'
          % [name, if unknown == [] then 'nothing' else std.join(', ', unknown)]
  else std.foldl(function(done, kind) done + kinds[kind](config, name, settings[kind]), std.objectFields(settings), { name: name });

// Several receivers as one: Alertmanager tells all parts of it.
local joined(config, names) =
  std.foldl(
    function(done, name)
      local one = receiver(config, name);
      done + { [key]: std.get(done, key, []) + one[key] for key in std.objectFields(one) if key != 'name' },
    names,
    { name: routing.together(names) }
  );

local receivers(config, targets) =
  local told = [names for target in targets for names in [target.pages, target.warnings] + [rung.receivers for rung in target.ladder]];
  local several = std.set([names for names in told if std.length(names) > 1], routing.together);
  [{ name: 'nobody' }]
  + [receiver(config, name) for name in std.objectFields(config.receivers)]
  + [joined(config, names) for names in several];

local intervals(table) = [
  {
    name: name,
    time_intervals: [
      { weekdays: table[name].weekdays, times: [{ start_time: table[name].start, end_time: table[name].end }], location: std.get(table[name], 'location', 'UTC') },
    ],
  }
  for name in std.objectFields(table)
];

{
  // What belongs to this pack: for the whole configuration, and for adding to one that exists.
  alertmanagerParts:: {
    local config = $._config,
    local targets = routing.targets(config.routing),
    local heartbeat = std.get(config.routing, 'heartbeat', null),

    route: {
      matchers: [ours],
      receiver: 'nobody',
      // Outcome and causes of one model arrive in one notification.
      group_by: ['model', 'team'],
      routes:
        [
          { matchers: ['alertname="MLWatchdog"'], receiver: if heartbeat == null then 'nobody' else routing.receiver(config.routing, heartbeat) }
          + timers(config, config.alertmanager.heartbeat),
        ]
        + std.flattenArrays([routes(config, target) for target in targets]),
    },
    // Both sides are ours, and every alert of ours has a name and a model. What pages is never muted.
    inhibit_rules: [
      // An alert that pages says more than its own warning. Labels that neither has are equal.
      {
        source_matchers: [ours, 'severity="critical"'],
        target_matchers: [ours, 'severity="warning"'],
        equal: ['alertname', 'model', 'feature', 'kind', 'source'],
      },
      // Broken inputs fake drift, for their model.
      { source_matchers: [ours, 'severity="critical"', 'layer="data"'], target_matchers: [ours, 'layer="diagnostic"', 'model=~".+"'], equal: ['model'] },
      // Who is paged for quality finds the leads on the dashboard, and needs no message for each.
      {
        source_matchers: [ours, 'severity="critical"', 'layer="outcome"', 'family="quality"'],
        target_matchers: [ours, 'severity="warning"', 'layer="diagnostic"', 'model=~".+"'],
        equal: ['model'],
      },
      // An exporter that is gone or stands still fakes models and labels that are gone. It has no model, so these are named.
      {
        source_matchers: ['alertname=~"MLExporterAbsent|MLExporterDown|MLExporterStale"'],
        target_matchers: ['alertname=~"MLModelMissing|MLPredictionsAbsent|MLLabelsLate|MLSourceLagging|MLSourceFailing"', 'severity="warning"'],
      },
    ],
    receivers: receivers(config.routing, targets),
    time_intervals: intervals(std.get(config.routing, 'office_hours', {})),
  },

  alertmanager:: {
    local config = $._config,
    local parts = $.alertmanagerParts,

    global: { resolve_timeout: d.text(config, config.alertmanager.resolveTimeoutSeconds) },
    route: {
      receiver: routing.together(routing.targets(config.routing)[std.length(routing.targets(config.routing)) - 1].warnings),
      group_by: ['alertname'],
      routes: [parts.route],
    },
    inhibit_rules: parts.inhibit_rules,
    receivers: parts.receivers,
  } + (if $.alertmanagerParts.time_intervals == [] then {} else { time_intervals: $.alertmanagerParts.time_intervals }),
}
