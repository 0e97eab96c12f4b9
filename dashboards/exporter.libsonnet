// The exporter itself: does it read, keep up, evaluate and save. While it does not, the other dashboards are blind.
local board = import 'lib/board.libsonnet';
local link = import 'lib/link.libsonnet';
local panel = import 'lib/panel.libsonnet';
local query = import 'lib/query.libsonnet';

local t = query.target;
local name(metric) = query.metric.name(metric);
local sourced(series) = series + '{source=~"$source"}';
local rate(series, by) = 'sum by (%s) (rate(%s[$__rate_interval]))' % [by, series];
local none = 'none';

local health(job) = {
  title: 'Does it work',
  panels: [
    panel.stat('Answers', 'Targets of the exporter that Prometheus can scrape. Bad: fewer than there should be: their models are not watched.', none, t('count(up{job="%s"} == 1) or vector(0)' % job, 'targets'), width=4),
    panel.stat('Last evaluation', 'How long ago the windows were evaluated, of the oldest exporter. Bad: above the limit in the panel below: all values are old.', 's', t('time() - min(ml:exporter_last_evaluation_timestamp_seconds)', 'age'), width=4),
    panel.stat('Sources that cannot be read', 'Logs that the exporter failed to read at its last attempt. Bad: any.', none, t(query.count('ml:exporter_source_up == 0', 'ml:exporter_source_up'), 'sources'), width=4) + panel.alarming(),
    panel.stat('Furthest behind', 'Time since the newest bytes were written that are not read yet, of the slowest source. Bad: above the limit in the panel of the lag.', 's', t('max(ml:exporter_source_lag_seconds)', 'lag'), width=4),
    panel.stat('Saves its state', 'Whether the last commit of the state worked, in every exporter. Bad: no: a crash now loses what was read since the last one that worked.', 'bool_yes_no', t('min(ml:exporter_state_up)', 'state'), width=4),
    panel.stat('Runs the configuration on disk', 'Whether the last reload worked, in every exporter. Bad: no: it goes on with the old one, and would not start with the new one.', 'bool_yes_no', t('min(ml:exporter_config_last_reload_successful)', 'reload'), width=4),
    panel.timeline(
      'Firing alerts about the exporter',
      'Every alert about the monitoring itself, while it fires: orange a warning, red a page. Bad: any bar.',
      t(query.firing('source, rule_group', 'layer="meta"'), '{{alertname}} {{source}} {{rule_group}}'),
      height=5
    ),
    panel.timeseries(
      'Age of the last evaluation',
      'How long ago the windows were evaluated. Bad: above the limit: the exporter answers, and what it says is old.',
      's',
      [t('time() - max by (instance) (%s)' % name('ml_exporter_last_evaluation_timestamp_seconds'), '{{instance}}'), query.exporterLimit('exporter_evaluation_age_seconds', 'critical')]
    ),
    panel.timeseries(
      'Time of an evaluation',
      'How long the last evaluation took. Bad: close to the interval of evaluation: it cannot keep up with so many models.',
      's',
      [t('max by (instance) (%s)' % name('ml_exporter_evaluation_duration_seconds'), '{{instance}}')]
    ),
    panel.timeseries(
      'Time of a scrape',
      'How long Prometheus waits for the metrics. Bad: close to its timeout: gaps follow.',
      's',
      [t('max by (instance) (scrape_duration_seconds{job="%s"})' % job, '{{instance}}')]
    ),
  ],
};

local sources = {
  title: 'Sources: does it read all, and in time',
  panels: [
    panel.timeseries(
      'Lag',
      'Time since the newest bytes that are not read yet were written. Bad: above the limit. A straight line upwards: it reads nothing; one that falls: it catches up.',
      's',
      [t(sourced('ml:exporter_source_lag_seconds'), '{{source}}'), query.exporterLimit('exporter_source_lag_seconds', 'warning')]
    ),
    panel.timeseries(
      'Bytes not read yet',
      'Bytes written to the files of a source that are not read yet. Bad: rising.',
      'bytes',
      [t('max by (source) (%s)' % sourced(name('ml_exporter_source_lag_bytes')), '{{source}}')]
    ),
    panel.timeseries(
      'Lines read',
      'Lines a second, also the refused ones. Bad: 0 while the service answers.',
      'ops',
      [t(rate(sourced(name('ml_exporter_rows_read_total')), 'source'), '{{source}}')]
    ),
    panel.timeseries(
      'Share of lines refused, one hour',
      'Lines that could not be used, of those read. Bad: above a limit: the models see only the rest.',
      'percentunit',
      [t(sourced('ml:exporter_rejected_ratio'), '{{source}}')] + [query.exporterLimit('exporter_rejected_ratio', severity) for severity in ['warning', 'critical']]
    ),
    panel.timeseries(
      'Lines refused, by reason',
      'Lines refused a second. Bad: any reason that is new. `malformed` and `wrong_type`: the writer changed; `too_late`: it was held up; `no_model`: no model wants them; `before_windows`: the log began long ago.',
      'ops',
      [t(rate(sourced(name('ml_exporter_rows_rejected_total')), 'source, reason'), '{{source}} {{reason}}')]
    ) + panel.stacked,
    panel.timeseries(
      'Readable, and files lost',
      '1 while a source can be read; and log files that vanished or were truncated before they were read to the end. Bad: 0, or any file lost.',
      none,
      [
        t(sourced('ml:exporter_source_up'), 'readable {{source}}'),
        t('sum by (source) (increase(%s[1h]))' % sourced(name('ml_exporter_files_lost_total')), 'lost in an hour {{source}}'),
      ]
    ),
  ],
};

local join = {
  title: 'Join and state',
  panels: [
    panel.timeseries(
      'Waiting in the join',
      'Predictions that wait for a label, and labels that wait for their prediction. Bad: rising without an end: ids do not match, or labels do not come.',
      'short',
      [t('sum by (model, side) (%s)' % name('ml_exporter_join_pending_rows'), '{{model}} {{side}}')]
    ),
    panel.timeseries(
      'Given up in the join, one hour',
      'Predictions and labels that were dropped while they waited. Bad: any: quality is then measured on fewer.',
      none,
      [t('sum by (model, side) (increase(%s[1h]))' % name('ml_exporter_join_dropped_total'), '{{model}} {{side}}')]
    ) + panel.stacked,
    panel.timeseries(
      'Repeated ids, one hour',
      'Predictions with the id of an earlier one. Bad: many: a log is read or written twice, or ids are not unique.',
      none,
      [t('sum by (model) (increase(%s[1h]))' % name('ml_exporter_join_repeated_ids_total'), '{{model}}')]
    ) + panel.stacked,
    panel.timeseries(
      'State saved',
      '1 while commits of the state work. Bad: 0: look at the disk of the state directory.',
      none,
      [t('ml:exporter_state_up', 'commits work'), t('ml:exporter_state_set_aside', 'damaged files set aside')]
    ),
    panel.timeseries(
      'Notes on refused lines that failed, one hour',
      'Times that the dead-letter file could not be written. Bad: any: it cannot be seen later which lines were refused.',
      none,
      [t('ml:exporter_dead_letter_failures', 'failures')]
    ),
    panel.timeseries(
      'Jumps of the clock, one hour',
      'Jumps of the wall clock. Bad: above the limit: windows end at wrong times.',
      none,
      [t('ml:exporter_clock_jumps', 'jumps'), query.exporterLimit('exporter_clock_jumps', 'warning')]
    ),
  ],
};

local series(uids) = {
  title: 'Series, rules and batch runs',
  panels: [
    panel.timeseries(
      'Series by model',
      'Series that are exported for each model. Bad: a step without a change of the configuration. `ml-exporter check` prints the budget.',
      'short',
      [t('max by (model) (%s)' % name('ml_exporter_series'), '{{model}}')]
    ) + panel.leads([link.line(uids.model, 'Open the model', ['model'])]),
    panel.timeseries(
      'Series left out, 15 minutes',
      'Times that series were left out because a cap was reached, by reason. Bad: any: what is missing raises no alert.',
      none,
      [t('ml:exporter_series_dropped', '{{reason}}')]
    ),
    panel.timeseries(
      'Failed evaluations of rules, 15 minutes',
      'Rules of this pack that Prometheus could not evaluate. Bad: any: alerts that read them cannot fire.',
      none,
      [t('ml:rule_evaluation_failures', '{{rule_group}}')]
    ),
    panel.timeseries(
      'Time to evaluate the rules',
      'How long Prometheus needs for each group of this pack; the ten slowest. Bad: close to the interval of the group, 60 s.',
      's',
      [t('topk(10, max by (rule_group) (prometheus_rule_group_last_duration_seconds{rule_group=~".*;ml-.+"}))', '{{rule_group}}')]
    ),
    panel.timeseries(
      'Series without a limit',
      'Series of a model for which no limit is set, so that no alert watches them. Bad: any.',
      none,
      [t('sum by (model, signal) (ml:threshold:missing)', '{{model}} {{signal}}')]
    ) + panel.leads([link.line(uids.model, 'Open the model', ['model'])]),
    panel.table(
      'What runs',
      'Version of each exporter. Bad: different versions for long: a roll-out hangs.',
      [panel.label('instance'), panel.label('version'), panel.label('python_version')],
      [panel.column('Up', query.row('max by (instance, version, python_version) (%s)' % name('ml_exporter_build_info')), none)],
      { by: 'instance', descending: false },
      width=8,
      height=8
    ),
    panel.table(
      'Batch runs',
      'The last run of `once` for each model, where it is used: when it ran, when it last found the data fit. Bad: not fit, or long ago.',
      [panel.label('model', [link.row(uids.model, 'Open the model', ['model'])], 200)],
      [
        panel.column('Fit', query.row('min by (model) (%s)' % name('ml_exporter_batch_fit')), 'bool_yes_no'),
        panel.column('Last run', query.row('time() - max by (model) (%s)' % name('ml_exporter_batch_last_run_timestamp_seconds')), 's'),
        panel.column('Last time fit', query.row('time() - max by (model) (%s)' % name('ml_exporter_batch_last_success_timestamp_seconds')), 's'),
      ],
      { by: 'Last run', descending: true },
      width=12,
      height=8
    ),
    panel.table(
      'Lines of the last batch run',
      'Lines that the last run of `once` read and refused, by source. Bad: refused ones, or far fewer lines than the run before.',
      [panel.label('source'), panel.label('reason')],
      [
        panel.column('Read', query.row('max by (source) (%s)' % name('ml_exporter_batch_rows')), 'short'),
        panel.column('Refused', query.row('max by (source, reason) (%s)' % name('ml_exporter_batch_rejected_rows')), 'short', [], panel.redFrom(1)),
      ],
      { by: 'source', descending: false },
      width=12,
      height=8
    ),
  ],
};

{
  grafanaDashboards+:: {
    local uids = $._config.dashboardUids,
    [$._config.dashboardUids.exporter + '.json']: board.board($._config, {
      uid: uids.exporter,
      title: 'ML exporter',
      description: 'The exporter and its rules: does it read, keep up, evaluate and save.',
      variables: [board.several('source', 'Source', 'ml_exporter_source_up')],
      annotations: board.firing('layer="meta"'),
      onward: [link.to(uids.alerts, 'History of alerts', [])],
      rows: [health($._config.job), sources, join, series(uids)],
    }),
  },
}
