// Names of metrics, checked against the catalogue of the exporter. A rule or panel that names a metric or a label
// which the exporter does not export fails to compile.
local catalogue = import 'catalogue.json';

local known(name) =
  if std.objectHas(catalogue, name) then catalogue[name]
  else error 'rules: expected a metric of lib/catalogue.json, got %s. Correct the name, or add it to exporter/ml_exporter/catalogue/ and run `make generate`.' % name;

local matcher(metric, name, label, value) =
  if std.member(metric.labels, label) then label + '="' + value + '"'
  else error 'rules: expected a label of %s (%s), got %s. Correct the label.' % [name, std.join(', ', metric.labels), label];

{
  // metric('ml_feature_psi') is 'ml_feature_psi'; metric('ml_feature_psi', {window: '1d'}) is 'ml_feature_psi{window="1d"}'.
  // An optional label that is not given is asked to be absent, so that what is selected is the model as a whole, not a segment of it.
  metric(name, labels={}, more=''):: $.suffixed(name, '', { [label]: '' for label in known(name).optional } + labels, more),

  // The series that rules read: of the exporters that _config.selector picks.
  read(config, name, labels={}):: $.metric(name, labels, $.selector(config)),

  selector(config)::
    if std.findSubstr('{', config.selector) == [] then config.selector
    else error 'rules: expected matchers such as env="prod" in _config.selector, got %s. Leave out the braces.' % config.selector,

  // The name alone, checked.
  name(name):: local metric = known(name); assert std.isObject(metric); name,

  // The series of a histogram: suffixed('ml_label_delay_seconds', '_bucket').
  suffixed(name, suffix, labels={}, more='')::
    local metric = known(name);
    local matchers = [matcher(metric, name, label, labels[label]) for label in std.objectFields(labels)] + (if more == '' then [] else [more]);
    assert suffix == '' || metric.type == 'histogram' : 'rules: expected a histogram before %s, got %s. Correct the name.' % [suffix, name];
    name + suffix + (if matchers == [] then '' else '{' + std.join(',', matchers) + '}'),

  hasLabel(name, label):: std.member(known(name).labels, label),
}
