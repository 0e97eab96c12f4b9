// The exporter itself. While it fails, the other alerts are blind, so these belong to the exporter's owner and read no model.
local alert = import 'lib/alert.libsonnet';
local level = import 'lib/level.libsonnet';
local m = import 'lib/metric.libsonnet';
local threshold = import 'lib/threshold.libsonnet';

local age = 'time() - ml:exporter_last_evaluation_timestamp_seconds';

// The level hides which exporter is the oldest; the raw series names it.
local oldest =
  '{{ with query `sort(' + m.metric('ml_exporter_last_evaluation_timestamp_seconds') + ')` }}{{ . | first | label "instance" }}{{ end }}';

{
  prometheusRules+:: {
    groups+: [
      alert.group($._config, 'ml-exporter.rules', [
        level.level($._config, 'ml_exporter_last_evaluation_timestamp_seconds', worst='min'),
        level.level($._config, 'ml_exporter_source_up', worst='min'),
      ]),
    ],
  },

  prometheusAlerts+:: {
    groups+: [
      alert.group($._config, 'ml-exporter.alerts', threshold.rules($._config, ['exporter_evaluation_age_seconds']) + [
        alert.meta(
          $._config,
          'MLExporterAbsent',
          severity='critical',
          family='exporter',
          expr='absent(up{job="' + $._config.job + '"})',
          summary='Prometheus has no target for the exporter.',
          description='Prometheus knows {{ with query `count(up{job="' + $._config.job + '"})` }}{{ . | first | value }}{{ else }}0{{ end }} targets of job '
                      + $._config.job
                      + '; at least 1 is needed. No model is watched. First see whether the scrape configuration or the name of the job changed.',
        ),
        alert.meta(
          $._config,
          'MLExporterDown',
          severity='critical',
          family='exporter',
          expr='up{job="' + $._config.job + '"} == 0',
          summary='Prometheus cannot scrape the exporter.',
          description='The last scrape of {{ $labels.instance }} failed (up is {{ $value }}, expected 1). The models of this exporter are not watched. '
                      + 'First see whether the process runs and what its health endpoint answers.',
        ),
        alert.meta(
          $._config,
          'MLExporterStale',
          severity='critical',
          family='exporter',
          expr=threshold.compare(age, '>', 'exporter_evaluation_age_seconds', '', 'critical'),
          summary='The exporter answers, but has stopped to evaluate its windows.',
          description='The last evaluation of ' + oldest + ' was {{ $value | humanizeDuration }} ago; the limit is '
                      + threshold.shown('exporter_evaluation_age_seconds', '', 'critical')
                      + '. The values of its models are old. First look at the log of the exporter for the stage that hangs, then restart it: its state survives.',
        ),
        alert.meta(
          $._config,
          'MLSourceFailing',
          severity='warning',
          family='sources',
          expr='ml:exporter_source_up == 0',
          summary='The exporter cannot read one of its logs.',
          description='Reading source {{ $labels.source }} fails (' + m.metric('ml_exporter_source_up') + ' is {{ $value }}, expected 1). '
                      + 'The models that it feeds go stale. First see whether the files exist and whether the exporter may read them.',
        ),
        alert.meta(
          $._config,
          'MLWatchdog',
          severity='none',
          family='heartbeat',
          expr='vector(1)',
          summary='A heartbeat that always fires, so that its absence is noticed.',
          description='This alert always fires (value {{ $value }}). When the service that receives it stops to hear it, Prometheus, Alertmanager or the way between them is broken.',
        ),
      ]),
    ],
  },
}
