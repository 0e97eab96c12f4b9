// Links from a panel or a value onward. All keep the data source and the time; `keep` names the variables to carry along.
local address(uid, parts) = '/d/' + uid + '?' + std.join('&', ['${datasource:queryparam}'] + parts + ['${__url_time_range}']);

{
  to(uid, title, keep=['model'])::
    { title: title, url: address(uid, ['${' + name + ':queryparam}' for name in keep]), targetBlank: false },

  // From a row of a table, or a line of a graph: `labels` are variables of the target, set to the labels of the same name.
  row(uid, title, labels, keep=[])::
    { title: title, url: address(uid, ['${' + name + ':queryparam}' for name in keep] + ['var-' + name + '=${__data.fields.' + name + ':percentencode}' for name in labels]), targetBlank: false },
  line(uid, title, labels, keep=[])::
    { title: title, url: address(uid, ['${' + name + ':queryparam}' for name in keep] + ['var-' + name + '=${__field.labels.' + name + ':percentencode}' for name in labels]), targetBlank: false },
}
