// The pack as resources of the Prometheus operator. Secrets are read from files in Alertmanager's own configuration; the operator mounts a
// secret at /etc/alertmanager/secrets/<secret>/<key>, and its resources name the secret and the key instead.
local matcher = import 'lib/matcher.libsonnet';

local prefix = '/etc/alertmanager/secrets/';

local secret(where, path) =
  local parts = std.split(path, '/');
  if !std.startsWith(path, prefix) || std.length(parts) != 6 then
    error 'routing: expected %s like %s<secret>/<key> for the operator, got %s. Move the secret there.' % [where, prefix, path]
  else { name: parts[4], key: parts[5] };

local camel(name) =
  local parts = std.split(name, '_');
  parts[0] + std.join('', [std.asciiUpper(part[0]) + part[1:] for part in parts[1:]]);

local keys(value) = { [camel(name)]: value[name] for name in std.objectFields(value) };

local route(item) =
  keys({ [name]: item[name] for name in std.objectFields(item) if name != 'matchers' && name != 'routes' })
  + { matchers: [matcher.parsed(text) for text in item.matchers] }
  + (if std.objectHas(item, 'routes') then { routes: [route(child) for child in item.routes] } else {});

local files = { api_url_file: 'apiURL', routing_key_file: 'routingKey', api_key_file: 'apiKey', url_file: 'urlSecret' };
local renamed = { url: 'url', api_url: 'apiURL', auth_username: 'authUsername', require_tls: 'requireTLS', links: 'pagerDutyLinkConfigs' };

// The fields of one way to reach somebody.
local way(settings) = std.foldl(
  function(done, name)
    done + (
      if std.objectHas(files, name) then { [files[name]]: secret(name, settings[name]) }
      else if name == 'auth_password_file' then { authPassword: secret(name, settings[name]) }
      else if name == 'http_config' then
        { httpConfig: { authorization: { credentials: secret('credentials_file', settings.http_config.authorization.credentials_file) } } }
      else if name == 'headers' || name == 'details' then
        { [name]: [{ key: key, value: settings[name][key] } for key in std.objectFields(settings[name])] }
      else if name == 'links' then { pagerDutyLinkConfigs: [{ alt: link.text, href: link.href } for link in settings.links] }
      else { [std.get(renamed, name, camel(name))]: settings[name] }
    ),
  std.objectFields(settings),
  {}
);

local kinds = { webhook_configs: 'webhookConfigs', slack_configs: 'slackConfigs', email_configs: 'emailConfigs', pagerduty_configs: 'pagerdutyConfigs', opsgenie_configs: 'opsgenieConfigs' };

local receiver(item) = std.foldl(
  function(done, kind) done + { [kinds[kind]]: [way(settings) for settings in item[kind]] },
  [name for name in std.objectFields(item) if name != 'name'],
  { name: item.name }
);

local interval(item) = {
  name: item.name,
  timeIntervals: [
    { weekdays: each.weekdays, times: [{ startTime: time.start_time, endTime: time.end_time } for time in each.times] }
    for each in item.time_intervals
  ],
};

local abroad(item) = std.any([std.get(each, 'location', 'UTC') != 'UTC' for each in item.time_intervals]);

local named(config, kind, api, name, spec) = {
  apiVersion: 'monitoring.coreos.com/' + api,
  kind: kind,
  metadata: { name: name, namespace: config.operatorNamespace, labels: { 'app.kubernetes.io/part-of': 'ml-exporter' } + config.operatorLabels },
  spec: spec,
};

// The operator routes only alerts with the label of its own namespace.
local placed(config, groups) = [
  group { rules: [if std.objectHas(rule, 'alert') then rule { labels+: { namespace: config.operatorNamespace } } else rule for rule in group.rules] }
  for group in groups
];

{
  operator:: {
    local config = $._config,
    local parts = $.alertmanagerParts,
    local far = [item.name for item in parts.time_intervals if abroad(item)],

    'prometheusrule-rules': named(config, 'PrometheusRule', 'v1', 'ml-exporter-rules', { groups: $.prometheusRules.groups }),
    'prometheusrule-alerts': named(config, 'PrometheusRule', 'v1', 'ml-exporter-alerts', { groups: placed(config, $.prometheusAlerts.groups) }),
    alertmanagerconfig: if far != [] then
      error 'routing: expected office hours in UTC for the operator, whose resources know no location, got %s. Convert the hours.' % far[0]
    else named(config, 'AlertmanagerConfig', 'v1alpha1', 'ml-exporter', {
      route: route(parts.route),
      inhibitRules: [
        {
          sourceMatch: [matcher.parsed(text) for text in rule.source_matchers],
          targetMatch: [matcher.parsed(text) for text in rule.target_matchers],
          equal: std.get(rule, 'equal', []),
        }
        for rule in parts.inhibit_rules
      ],
      receivers: [receiver(item) for item in parts.receivers],
    } + (if parts.time_intervals == [] then {} else { muteTimeIntervals: [interval(item) for item in parts.time_intervals] })),
  },
}
