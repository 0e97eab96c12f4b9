// The exporter itself. While it fails, the other alerts are blind, so these belong to the exporter's owner and read no model.
local alert = import 'lib/alert.libsonnet';
local d = import 'lib/duration.libsonnet';
local level = import 'lib/level.libsonnet';
local m = import 'lib/metric.libsonnet';
local threshold = import 'lib/threshold.libsonnet';

// Rows of models that are not configured are refused on purpose.
local rejectedRows(config) =
  m.name('ml_exporter_rows_rejected_total') + '{' + std.join(',', ['reason!~"no_model|before_windows"'] + [text for text in [m.selector(config)] if text != '']) + '}';

// The target of the exporter.
local up(config) = 'up{' + std.join(',', ['job="' + config.job + '"'] + [text for text in [m.selector(config)] if text != '']) + '}';

local age = 'time() - ml:exporter_last_evaluation_timestamp_seconds';

// A level hides which exporter it is about; the raw series names it.
local instance(query) = '{{ with query `' + query + '` }}{{ . | first | label "instance" }}{{ else }}an exporter{{ end }}';

// Counters live in the clock's time: a demo does not divide their ranges below a few scrapes.
local increase(config, by, series, seconds) =
  'sum by (' + by + ') (increase(' + series + '[' + d.text(config, seconds, config.shortestMetaDurationSeconds) + ']))';

local warning(config, name, family, expr, summary, description) =
  alert.meta(config, name, severity='warning', family=family, expr=expr, summary=summary, description=description);

local rejected(config, severity) = alert.meta(
  config,
  'MLRowsRejected',
  severity=severity,
  family='sources',
  expr=threshold.compare('ml:exporter_rejected_ratio', '>', 'exporter_rejected_ratio', '', severity),
  summary='The exporter refuses lines of a log.',
  description='{{ $value | humanizePercentage }} of the lines of source {{ $labels.source }} were refused in the last hour; the limit is '
              + threshold.shown('exporter_rejected_ratio', '', severity)
              + '. What its models show is made of the rest. First see the reason in the counter of refused rows, then such a line in the log.',
);

{
  prometheusRules+:: {
    groups+: [
      alert.group($._config, 'ml-exporter.rules', [
        level.level($._config, 'ml_exporter_last_evaluation_timestamp_seconds', worst='min'),
        level.level($._config, 'ml_exporter_source_up', worst='min'),
        level.level($._config, 'ml_exporter_source_lag_seconds'),
        {
          record: 'ml:exporter_rejected_ratio',
          expr: increase($._config, 'source', rejectedRows($._config), 3600)
                + '\n/ on (source)\n  ('
                + increase($._config, 'source', m.read($._config, 'ml_exporter_rows_read_total'), 3600)
                + ' >= ' + $._config.rejectedRowsAtLeast + ')',
        },
        level.level($._config, 'ml_exporter_config_last_reload_successful', worst='min'),
        level.level($._config, 'ml_exporter_web_config_last_reload_successful', worst='min'),
        level.level($._config, 'ml_exporter_state_up', worst='min'),
        level.level($._config, 'ml_exporter_state_set_aside'),
        { record: 'ml:exporter_series_dropped', expr: increase($._config, 'reason', m.read($._config, 'ml_exporter_series_dropped_total'), 900) },
        { record: 'ml:exporter_dead_letter_failures', expr: increase($._config, '', m.read($._config, 'ml_exporter_dead_letter_failures_total'), 3600) },
        { record: 'ml:rule_evaluation_failures', expr: increase($._config, 'rule_group', 'prometheus_rule_evaluation_failures_total{rule_group=~".*;ml-.+"}', 900) },
        { record: 'ml:exporter_clock_jumps', expr: increase($._config, '', m.read($._config, 'ml_exporter_clock_jumps_total'), 3600) },
      ]),
    ],
  },

  prometheusAlerts+:: {
    groups+: [
      alert.group($._config, 'ml-exporter.alerts', threshold.rules($._config, ['exporter_evaluation_age_seconds', 'exporter_clock_jumps']) + [
        alert.meta(
          $._config,
          'MLExporterAbsent',
          severity='critical',
          family='exporter',
          expr='absent(' + up($._config) + ')',
          summary='Prometheus has no target for the exporter.',
          description='Prometheus knows {{ with query `count(' + up($._config) + ')` }}{{ . | first | value }}{{ else }}0{{ end }} targets of job '
                      + $._config.job
                      + '; at least 1 is needed. No model is watched. First see whether the scrape configuration or the name of the job changed.',
        ),
        alert.meta(
          $._config,
          'MLExporterDown',
          severity='critical',
          family='exporter',
          expr=up($._config) + ' == 0',
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
          description='The last evaluation of ' + instance('sort(' + m.read($._config, 'ml_exporter_last_evaluation_timestamp_seconds') + ')')
                      + ' was {{ $value | humanizeDuration }} ago; the limit is '
                      + threshold.shown('exporter_evaluation_age_seconds', '', 'critical')
                      + '. The values of its models are old. First look at the log of the exporter for the stage that hangs, then restart it: its state survives.',
        ),
        warning(
          $._config,
          'MLSeriesCapped',
          'exporter',
          'ml:exporter_series_dropped > 0',
          'The exporter leaves out series because a cap is reached.',
          'Series were left out {{ $value | humanize }} times in the last 15 minutes (reason {{ $labels.reason }}, expected 0). What is missing raises no alert. '
          + 'First run `ml-exporter check`: it says which series go, and which models need most.',
        ),
        warning(
          $._config,
          'MLReloadFailed',
          'exporter',
          'ml:exporter_config_last_reload_successful == 0',
          'The exporter refused its new configuration.',
          'The last reload of ' + instance(m.read($._config, 'ml_exporter_config_last_reload_successful') + ' == 0')
          + ' failed (value {{ $value }}, expected 1). It goes on with the old configuration, and would not start with the new one. '
          + 'First run `ml-exporter check`: it lists every error.',
        ),
        warning(
          $._config,
          'MLWebConfigRefused',
          'exporter',
          'ml:exporter_web_config_last_reload_successful == 0',
          'The exporter refused its new web configuration or certificate.',
          instance(m.read($._config, 'ml_exporter_web_config_last_reload_successful') + ' == 0')
          + ' goes on with the old certificate and passwords (value {{ $value }}, expected 1), and would not start with the new ones. '
          + 'First run `ml-exporter check --web.config.file`: it lists every error.',
        ),
        warning(
          $._config,
          'MLClockJumping',
          'exporter',
          threshold.compare('ml:exporter_clock_jumps', '>', 'exporter_clock_jumps', '', 'warning'),
          'The clock of the exporter jumps again and again.',
          'The clock of the exporter jumped {{ $value | printf "%.0f" }} times in the last hour, more than the limit allows. Windows end at wrong times. '
          + 'First see whether two services set the time of the machine.',
        ),
        warning(
          $._config,
          'MLRuleEvaluationFailing',
          'rules',
          'ml:rule_evaluation_failures > 0',
          'Prometheus cannot evaluate a rule of this pack.',
          'Rules of group {{ $labels.rule_group }} failed {{ $value | humanize }} times in the last 15 minutes (expected 0). Alerts that read them cannot fire. '
          + 'First read the message on the page of rules in Prometheus.',
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
      alert.group($._config, 'ml-sources.alerts', threshold.rules($._config, ['exporter_source_lag_seconds', 'exporter_rejected_ratio']) + [
        warning(
          $._config,
          'MLSourceFailing',
          'sources',
          'ml:exporter_source_up == 0',
          'The exporter cannot read one of its logs.',
          'Reading source {{ $labels.source }} fails (' + m.read($._config, 'ml_exporter_source_up') + ' is {{ $value }}, expected 1). '
          + 'The models that it feeds go stale. First see whether the files exist and whether the exporter may read them.',
        ),
        warning(
          $._config,
          'MLSourceLagging',
          'sources',
          threshold.compare('ml:exporter_source_lag_seconds', '>', 'exporter_source_lag_seconds', '', 'warning'),
          'The exporter is behind one of its logs.',
          'Bytes of source {{ $labels.source }} have not been read for {{ $value | humanizeDuration }}; the limit is '
          + threshold.shown('exporter_source_lag_seconds', '', 'warning')
          + '. Its models are shown as they were. First see whether the lag falls: after an outage it only catches up.',
        ),
      ] + [rejected($._config, severity) for severity in ['warning', 'critical']]),
      alert.group($._config, 'ml-state.alerts', [
        alert.meta(
          $._config,
          'MLStateFailing',
          severity='critical',
          family='state',
          expr='ml:exporter_state_up == 0',
          summary='The exporter cannot save its state.',
          description='The last commit of ' + instance(m.read($._config, 'ml_exporter_state_up') + ' == 0')
                      + ' failed (value {{ $value }}, expected 1). It goes on from memory until that is full, and then stops to read. '
                      + 'First see whether the disk of the state directory is full or read-only.',
        ),
        warning(
          $._config,
          'MLStateSetAside',
          'state',
          'ml:exporter_state_set_aside > 0',
          'The exporter found damaged state and set it aside.',
          'Damaged files in the state directory of ' + instance(m.read($._config, 'ml_exporter_state_set_aside') + ' > 0')
          + ': {{ $value }}, expected 0. What they held is lost to the windows and to labels that come later. '
          + 'First see in the log what was damaged, then keep the files for whoever looks into it and move them away.',
        ),
        warning(
          $._config,
          'MLDeadLetterFailing',
          'state',
          'ml:exporter_dead_letter_failures > 0',
          'The exporter cannot write down which lines it refused.',
          'Notes about refused lines could not be written {{ $value | humanize }} times in the last hour (expected 0). The counters are right. '
          + 'First see whether the disk of the dead-letter file is full.',
        ),
      ]),
    ],
  },
}
