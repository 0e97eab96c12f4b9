// Reads routing.yaml: fills in what a team inherits, and refuses what refers to nothing.
local d = import 'duration.libsonnet';

local list(value) = if std.isArray(value) then value else [value];

local shown(names) = if names == [] then 'none' else std.join(', ', names);

local known(what, table, name) =
  if std.objectHas(table, name) then name
  else error 'routing: expected a %s (%s), got %s. Add it to %s or correct the name.' % [what, shown(std.objectFields(table)), name, { receiver: 'receivers', 'name of office hours': 'office_hours' }[what]];

// Each rung of a ladder comes later than the one before.
local rungs(routing, where, ladder) =
  local after = [d.seconds(rung.after) for rung in ladder];
  local late = [i for i in std.range(1, std.length(ladder) - 1) if after[i] <= after[i - 1]];
  if late != [] then
    error 'routing: expected rungs of %s in order, each later than the one before, got %s after %s. Correct `after`.'
          % [where, ladder[late[0]].after, ladder[late[0] - 1].after]
  else [
    { level: std.toString(i + 1), after: after[i], role: ladder[i].role, receivers: [known('receiver', routing.receivers, name) for name in list(ladder[i].receivers)] }
    for i in std.range(0, std.length(ladder) - 1)
  ];

local paging(settings) = std.objectHas(settings, 'pagerduty') || std.objectHas(settings, 'opsgenie');

// One who is told: a team, or everybody else (team null).
local target(routing, team, own) =
  local where = if team == null then 'default' else team;
  local settings = routing.default + own;
  local escalation = std.get(own, 'escalation', if std.objectHas(own, 'ladder') then 'ladder' else std.get(routing.default, 'escalation', 'ladder'));
  local pages = [known('receiver', routing.receivers, name) for name in list(settings.pages)];
  local hours = std.get(settings, 'office_hours', null);
  if escalation == 'receiver' && !std.any([paging(routing.receivers[name]) for name in pages]) then
    error 'routing: expected a pagerduty or opsgenie among the pages of %s, which has `escalation: receiver`, got %s. Name one, or give it a ladder.'
          % [where, shown(pages)]
  else {
    team: team,
    pages: pages,
    warnings: [known('receiver', routing.receivers, name) for name in list(settings.warnings)],
    hours: if hours == null then null else known('name of office hours', std.get(routing, 'office_hours', {}), hours),
    ladder: if escalation == 'receiver' then [] else rungs(routing, where, std.get(settings, 'ladder', [])),
  };

{
  // Teams in order of their names, then everybody else.
  targets(routing)::
    local teams = std.get(routing, 'teams', {});
    [target(routing, name, teams[name]) for name in std.objectFields(teams)] + [target(routing, null, {})],

  // Tiers whose pages wait for the office hours.
  asleep(routing)::
    local tiers = std.get(routing, 'tiers', {});
    [tier for tier in std.objectFields(tiers) if !std.get(tiers[tier], 'wakes', true)],

  // One name for receivers that are told together.
  together(names):: std.join('+', names),

  receiver(routing, name):: known('receiver', routing.receivers, name),

  // Whether the configured Alertmanager is at least of this version.
  atLeast(routing, major, minor)::
    local parts = [std.parseInt(part) for part in std.split(std.get(routing, 'alertmanager', '0.25'), '.')];
    parts[0] > major || (parts[0] == major && parts[1] >= minor),
}
