// Matchers of Alertmanager: text, and the fields that the Prometheus operator wants instead.
local operators = ['!=', '!~', '=~', '='];

{
  // {name, matchType, value} of a text such as 'severity=~"warning|info"'.
  parsed(text)::
    local places = [{ at: std.findSubstr(operator, text), operator: operator } for operator in operators];
    local found = [{ at: item.at[0], operator: item.operator } for item in places if item.at != []];
    local first = std.foldl(function(best, item) if best == null || item.at < best.at then item else best, found, null);
    {
      name: text[:first.at],
      matchType: first.operator,
      value: std.parseJson(text[first.at + std.length(first.operator):]),
    },
}
