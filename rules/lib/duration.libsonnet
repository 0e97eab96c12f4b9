// Durations are numbers of seconds in the config. A compressed demo divides them; Prometheus and Alertmanager get text.
local units = [['d', 86400000], ['h', 3600000], ['m', 60000], ['s', 1000], ['ms', 1]];

// Milliseconds in the units from `first` on.
local spell(milliseconds, first=0) =
  if milliseconds == 0 then ''
  else
    local unit = units[first];
    local count = std.floor(milliseconds / unit[1]);
    (if count > 0 then count + unit[0] else '') + spell(milliseconds - count * unit[1], first + 1);

{
  // Seconds in a text such as '90s', '15m', '6h' or '1d'. A number is seconds already.
  seconds(value)::
    if std.isNumber(value) then value
    else
      local unit = { s: 1, m: 60, h: 3600, d: 86400 };
      local last = value[std.length(value) - 1:];
      if std.objectHas(unit, last) then std.parseInt(value[:std.length(value) - 1]) * unit[last]
      else error 'rules: expected a duration like 90s, 15m, 6h or 1d, got %s. Add the unit.' % value,

  // Seconds after division, but not below `shortest` (nor above what was asked for).
  divided(config, seconds, shortest)::
    std.max(seconds / config.divideDurations, std.min(seconds, shortest)),

  // The same as text: 5400 is '1h30m'.
  text(config, seconds, shortest=config.shortestDurationSeconds)::
    local milliseconds = std.round($.divided(config, seconds, shortest) * 1000);
    if milliseconds == 0 then '0s' else spell(milliseconds),
}
