// Who is called next. For every alert that pages, and every rung of a ladder in routing.yaml, a rule of the same name and the same labels
// that counts how long the page has fired. A silence made from the page has the labels of the escalation too, so it is the acknowledgement.
// ALERTS survives a restart of Prometheus; ALERTS_FOR_STATE would start again.
local alert = import 'lib/alert.libsonnet';
local d = import 'lib/duration.libsonnet';
local routing = import 'lib/routing.libsonnet';

// Ladders with the teams that have them, each as a matcher: most teams share the one of everybody.
local ladders(targets) =
  local everybody = targets[std.length(targets) - 1];
  local others = [target for target in targets if target.team != null && target.ladder != everybody.ladder];
  local without = std.join('|', [target.team for target in others]);
  [{ ladder: everybody.ladder, matcher: if without == '' then '' else ',team!~"%s"' % without }]
  + [{ ladder: target.ladder, matcher: ',team="%s"' % target.team } for target in others];

// How many evaluations an alert that never paused counts, less three (or a tenth): a restart of Prometheus is no new beginning.
local enough(config, seconds) =
  local divided(value) = d.divided(config, value, config.shortestDurationSeconds);
  local count = std.floor(divided(seconds) / divided(config.evaluationIntervalSeconds));
  std.max(1, count - std.max(1, std.min(3, std.round(count / 10))));

// After how many seconds a rung is called: the whole ladder is put off where an alert cannot end that soon after a fix.
local after(config, base, ladder, rung) =
  rung.after + std.max(0, std.get(config.escalation.notBefore, base.labels.family, 0) - ladder[0].after);

local rule(config, base, rung, seconds, matcher) =
  local firing = 'ALERTS{alertname="%s",severity="critical",escalation="",alertstate="firing"%s}' % [base.alert, matcher];
  local step = d.text(config, config.evaluationIntervalSeconds);
  {
    alert: base.alert,
    expr: 'max without (alertstate) (\n'
          + '    count_over_time(%s[%s:%s]) >= %d\n' % [firing, d.text(config, seconds), step, enough(config, seconds)]
          + '  and\n'
          + '    %s\n' % firing
          + ')',
    labels: { escalation: rung.level },
    annotations: {
      summary: 'A page is still open.',
      description: '{{ $labels.alertname }} of model {{ $labels.model }} (team {{ $labels.team }}) has fired for %s and nobody has silenced it. Called now: %s (%s). First see who works on it; a silence on it acknowledges.'
                   % [d.text(config, seconds), rung.role, std.join(', ', rung.receivers)],
      runbook_url: base.annotations.runbook_url,
      dashboard_url: base.annotations.dashboard_url,
      [if std.objectHas(base.annotations, 'page_url') then 'page_url']: base.annotations.page_url,
    },
  };

local rules(config, bases, all) = [
  rule(config, base, rung, after(config, base, item.ladder, rung), item.matcher)
  for base in bases
  for item in all
  for rung in item.ladder
];

// The alerts of a group that page, each once: an alert may page for more than one reason.
local paging(group) = std.set(
  [item for item in group.rules if std.objectHas(item, 'alert') && std.get(item.labels, 'severity', '') == 'critical'],
  function(item) item.alert
);

{
  prometheusAlerts+:: {
    local config = $._config,
    local all = ladders(routing.targets(config.routing)),
    local groups = super.groups,

    local made = [{ name: std.strReplace(group.name, '.alerts', '.escalation'), rules: rules(config, paging(group), all) } for group in groups],

    groups: groups + [alert.group(config, group.name, group.rules) for group in made if group.rules != []],
  },
}
