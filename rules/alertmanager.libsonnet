// The Alertmanager configuration, from routing.yaml: who is paged, who is written to, and what mutes what.
local d = import 'lib/duration.libsonnet';

local ours = 'alertname=~"ML.+"';

local timers(config, settings) = {
  group_wait: d.text(config, settings.waitSeconds),
  group_interval: d.text(config, settings.intervalSeconds),
  repeat_interval: d.text(config, settings.repeatSeconds),
};

local known(routing, name) =
  if std.objectHas(routing.receivers, name) then name
  else error 'routing: expected a receiver (%s), got %s. Add it to receivers or correct the name.' % [std.join(', ', std.objectFields(routing.receivers)), name];

// The two routes of a team, or of everybody else.
local routes(config, targets, matchers) = [
  { matchers: ['severity="critical"'] + matchers, receiver: known(config.routing, targets.pages) } + timers(config, config.alertmanager.pages),
  { matchers: ['severity="warning"'] + matchers, receiver: known(config.routing, targets.warnings) } + timers(config, config.alertmanager.warnings),
];

local kinds = {
  webhook(settings):: {
    webhook_configs: [
      { url: settings.url, send_resolved: true }
      + (if std.objectHas(settings, 'credentials_file') then { http_config: { authorization: { credentials_file: settings.credentials_file } } } else {}),
    ],
  },
  slack(settings):: {
    slack_configs: [{
      api_url_file: settings.api_url_file,
      channel: settings.channel,
      send_resolved: true,
      title: '{{ .Status | toUpper }}: {{ .CommonLabels.alertname }} {{ .GroupLabels.model }}',
      text: |||
        {{ range .Alerts }}*{{ .Labels.alertname }}* ({{ .Labels.severity }}): {{ .Annotations.description }}
        <{{ .Annotations.runbook_url }}|Runbook> <{{ .Annotations.dashboard_url }}|Dashboard>
        {{ end }}
      |||,
    }],
  },
  email(settings):: { email_configs: [settings { send_resolved: true }] },
};

local receiver(name, settings) =
  local unknown = [kind for kind in std.objectFields(settings) if !std.objectHasAll(kinds, kind)];
  if unknown != [] || std.length(settings) == 0 then
    error 'routing: expected a webhook, slack or email in receiver %s, got %s. Correct it.' % [name, std.join(', ', unknown)]
  else std.foldl(function(done, kind) done + kinds[kind](settings[kind]), std.objectFields(settings), { name: name });

{
  alertmanager:: {
    local routing = $._config.routing,
    local teams = std.get(routing, 'teams', {}),
    local heartbeat = std.get(routing, 'heartbeat', null),

    global: { resolve_timeout: d.text($._config, $._config.alertmanager.resolveTimeoutSeconds) },
    route: {
      receiver: known(routing, routing.default.warnings),
      group_by: ['alertname'],
      routes: [{
        matchers: [ours],
        receiver: 'nobody',
        // Outcome and causes of one model arrive in one notification.
        group_by: ['model', 'team'],
        routes:
          [
            { matchers: ['alertname="MLWatchdog"'], receiver: if heartbeat == null then 'nobody' else known(routing, heartbeat) }
            + timers($._config, $._config.alertmanager.heartbeat),
          ]
          + std.flattenArrays([routes($._config, teams[team], ['team="%s"' % team]) for team in std.objectFields(teams)])
          + routes($._config, routing.default, []),
      }],
    },
    // Broken inputs fake drift, so they mute it for their model. Both sides are ours, and every alert of ours has a model.
    inhibit_rules: [{
      source_matchers: [ours, 'severity="critical"', 'layer="data"'],
      target_matchers: [ours, 'layer="diagnostic"', 'model=~".+"'],
      equal: ['model'],
    }],
    receivers: [{ name: 'nobody' }] + [receiver(name, routing.receivers[name]) for name in std.objectFields(routing.receivers)],
  },
}
