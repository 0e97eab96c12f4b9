// The kinds of receivers. Each is a function from its settings in routing.yaml to the part of Alertmanager's receiver.
local routing = import 'routing.libsonnet';

// Outcomes come first: what users feel, then what explains it.
local ordered(text) = '{{ range .Alerts }}{{ if eq .Labels.layer "outcome" }}' + text + '{{ end }}{{ end }}'
                      + '{{ range .Alerts }}{{ if ne .Labels.layer "outcome" }}' + text + '{{ end }}{{ end }}';

// Each name once: Alertmanager sorts alerts by their labels, so that six features that are null stand together.
local title = '{{ .Status | toUpper }} {{ .GroupLabels.model }} ({{ .GroupLabels.team }}): '
              + '{{ $last := "" }}{{ range .Alerts }}{{ if ne .Labels.alertname $last }}{{ if $last }}, {{ end }}{{ .Labels.alertname }}{{ $last = .Labels.alertname }}{{ end }}{{ end }}';

// A group that still fires also holds what ended since the last message.
local state = '{{ .Labels.severity }}{{ if eq .Status "resolved" }}, resolved{{ end }}';

local line = '{{ .Labels.alertname }} (' + state + '): {{ .Annotations.description }}\n'
             + 'Runbook: {{ .Annotations.runbook_url }}\nDashboard: {{ .Annotations.dashboard_url }}\n'
             + '{{ with .Annotations.page_url }}Page: {{ . }}\n{{ end }}';

local first = '(index .Alerts 0)';

{
  webhook(config, name, settings)::
    local file = std.get(settings, 'url_file', null);
    if (file == null) == !std.objectHas(settings, 'url') then
      error 'routing: expected `url` or `url_file` in the webhook of receiver %s, got %s. Give one of them.' % [name, if file == null then 'neither' else 'both']
    else if file != null && !routing.atLeast(config, 0, 26) then
      error ('routing: expected an Alertmanager of 0.26 or later for `url_file` in the webhook of receiver %s, got %s. '
             + 'Give a `url` without a secret and put the secret into `credentials_file`, or say `alertmanager: "0.26"`.') % [name, std.get(config, 'alertmanager', '0.25')]
    else {
      webhook_configs: [
        { send_resolved: true }
        + (if file == null then { url: settings.url } else { url_file: file })
        + (if std.objectHas(settings, 'credentials_file') then { http_config: { authorization: { credentials_file: settings.credentials_file } } } else {}),
      ],
    },

  slack(config, name, settings):: {
    slack_configs: [{
      api_url_file: settings.api_url_file,
      channel: settings.channel,
      send_resolved: true,
      title: title,
      text: ordered('*{{ .Labels.alertname }}* (' + state + '): {{ .Annotations.description }}\n'
                    + '<{{ .Annotations.runbook_url }}|Runbook> <{{ .Annotations.dashboard_url }}|Dashboard>'
                    + '{{ with .Annotations.page_url }} <{{ . }}|Page>{{ end }}\n'),
    }],
  },

  email(config, name, settings):: {
    email_configs: [settings { send_resolved: true, headers: { Subject: title }, html: '', text: ordered(line + '\n') }],
  },

  pagerduty(config, name, settings):: {
    pagerduty_configs: [{
      routing_key_file: settings.routing_key_file,
      send_resolved: true,
      description: title,
      severity: '{{ if eq .CommonLabels.severity "warning" }}warning{{ else }}critical{{ end }}',
      component: '{{ .GroupLabels.model }}',
      group: '{{ .GroupLabels.team }}',
      details: { alerts: ordered(line) },
      links: [
        { text: 'Runbook', href: '{{ with %s }}{{ .Annotations.runbook_url }}{{ end }}' % first },
        { text: 'Dashboard', href: '{{ with %s }}{{ .Annotations.dashboard_url }}{{ end }}' % first },
      ],
    }],
  },

  opsgenie(config, name, settings):: {
    opsgenie_configs: [
      {
        api_key_file: settings.api_key_file,
        send_resolved: true,
        message: title,
        description: ordered(line),
        source: 'ml-exporter',
        priority: '{{ if eq .CommonLabels.severity "warning" }}P3{{ else }}P1{{ end }}',
      }
      + (if std.objectHas(settings, 'api_url') then { api_url: settings.api_url } else {})
      + (if std.objectHas(settings, 'team') then { responders: [{ name: settings.team, type: 'team' }] } else {}),
    ],
  },
}
