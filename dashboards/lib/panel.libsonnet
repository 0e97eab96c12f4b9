// Panels of Grafana's classic JSON, without a library. Schema 36 loads in Grafana 10.0 and is migrated by everything newer.
local datasource = { type: 'prometheus', uid: '${datasource}' };

// Series get their look from the beginning of their legend, so that a limit looks the same on every panel.
local dashed(color) = [
  { id: 'color', value: { mode: 'fixed', fixedColor: color } },
  { id: 'custom.lineStyle', value: { fill: 'dash', dash: [8, 6] } },
  { id: 'links', value: [] },
];
// The ends of a band have no line, and no entry in the legend.
local end(color) = [
  { id: 'color', value: { mode: 'fixed', fixedColor: color } },
  { id: 'custom.lineWidth', value: 0 },
  { id: 'custom.hideFrom', value: { legend: true, tooltip: false, viz: false } },
];
local band(from, color) = end(color) + [
  { id: 'custom.fillBelowTo', value: from },
  { id: 'custom.fillOpacity', value: 15 },
];
local looks = {
  'critical limit': dashed('red'),
  'warning limit': dashed('orange'),
  'noise floor': dashed('purple'),
  'at least': dashed('purple'),
  reference: dashed('blue'),
  // The band between the two ends of an interval.
  'upper 95 %': band('lower 95 %', 'green'),
  'lower 95 %': end('green'),
  'estimated$': [{ id: 'color', value: { mode: 'fixed', fixedColor: 'purple' } }],
  'estimated at most': band('estimated at least', 'purple'),
  'estimated at least': end('purple'),
  'expected$': dashed('semi-dark-blue'),
  'expected to': dashed('semi-dark-blue'),
  'expected from': dashed('semi-dark-blue'),
};
local begins(text, beginning) =
  if std.endsWith(beginning, '$') then text + '$' == beginning else std.startsWith(text, beginning);
local overrides(targets) = [
  { matcher: { id: 'byRegexp', options: '/^%s/' % beginning }, properties: looks[beginning] }
  for beginning in std.objectFields(looks)
  if std.length([target for target in targets if begins(target.legendFormat, beginning)]) > 0
];

local panel(type, title, description, unit, targets, width, height) = {
  type: type,
  title: title,
  description: description,
  datasource: datasource,
  interval: '1m',
  targets: [targets[index] { refId: std.char(65 + index), datasource: datasource } for index in std.range(0, std.length(targets) - 1)],
  fieldConfig: { defaults: { unit: unit }, overrides: [] },
  gridPos: { w: width, h: height },
};

local severities = {
  type: 'value',
  options: {
    '0': { text: 'ok', color: 'green', index: 0 },
    '1': { text: 'warning', color: 'orange', index: 1 },
    '2': { text: 'critical', color: 'red', index: 2 },
  },
};

{
  timeseries(title, description, unit, targets, width=8, height=8)::
    panel('timeseries', title, description, unit, targets, width, height) + {
      fieldConfig+: {
        defaults+: { custom: { lineWidth: 1, fillOpacity: 0, showPoints: 'never', spanNulls: false } },
        overrides: overrides(targets),
      },
      options: {
        legend: {
          displayMode: 'table',
          // Beside a wide graph, so that many lines do not take its height.
          placement: if width >= 12 then 'right' else 'bottom',
          showLegend: true,
          calcs: ['lastNotNull', 'max'],
        },
        tooltip: { mode: 'multi', sort: 'desc' },
      },
    },

  // Bars on top of each other: counts of events.
  stacked:: { fieldConfig+: { defaults+: { custom+: { drawStyle: 'bars', fillOpacity: 80, lineWidth: 0, stacking: { mode: 'normal', group: 'A' } } } } },

  // The value axis is logarithmic: ratios from a hundredth to a thousand.
  logarithmic:: { fieldConfig+: { defaults+: { custom+: { scaleDistribution: { type: 'log', log: 10 } } } } },

  stat(title, description, unit, target, width=6)::
    panel('stat', title, description, unit, [target], width, 4) + {
      options: {
        reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
        colorMode: 'none',
        graphMode: 'area',
        textMode: 'value',
      },
    },

  // One query at the end of the range: what counts over the whole of it has no graph.
  instant:: {
    targets: [target { instant: true, range: false } for target in super.targets],
    options+: { graphMode: 'none' },
  },

  // For a count that should be 0: red from 1 on.
  alarming(color='red'):: {
    fieldConfig+: { defaults+: { thresholds: { mode: 'absolute', steps: [{ color: 'green', value: null }, { color: color, value: 1 }] } } },
    options+: { colorMode: 'value' },
  },

  // When each series was there: 1 for a warning, 2 for a critical alert.
  timeline(title, description, target, width=24, height=6)::
    panel('state-timeline', title, description, 'none', [target], width, height) + {
      fieldConfig+: {
        defaults+: {
          custom: { fillOpacity: 70, lineWidth: 0 },
          mappings: [severities],
        },
      },
      options: { mergeValues: true, showValue: 'never', rowHeight: 0.75, legend: { showLegend: false, displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'single', sort: 'none' } },
    },

  // A row for each combination of the labels, which all queries keep. Labels keep their names as columns; columns with `first` stand before them.
  // The rows are sorted by `sort`, a column or a label, before what is hidden is left out.
  table(title, description, labels, columns, sort, width=24, height=9)::
    local shown = [column for column in columns if !std.get(column, 'hidden', false)];
    local at(index) = if std.length(columns) == 1 then 'Value' else 'Value #' + std.char(65 + index);
    local positions = std.range(0, std.length(columns) - 1);
    panel('table', title, description, 'none', [column.target for column in columns], width, height) + {
      fieldConfig+: {
        defaults+: { custom: { align: 'auto', cellOptions: { type: 'auto' }, filterable: true } },
        overrides: [
          { matcher: { id: 'byName', options: column.name }, properties: column.properties }
          for column in shown
        ] + [
          { matcher: { id: 'byName', options: label.name }, properties: label.properties }
          for label in labels
          if std.objectHas(label, 'properties')
        ],
      },
      options: { showHeader: true, cellHeight: 'sm', footer: { show: false, reducer: ['sum'], countRows: false } },
      transformations: [
        { id: 'merge', options: {} },
        {
          id: 'organize',
          options: {
            excludeByName: { Time: true },
            indexByName: { [labels[index].name]: 100 + index for index in std.range(0, std.length(labels) - 1) }
                         + { [at(index)]: (if std.get(columns[index], 'first', false) then 0 else 200) + index for index in positions },
            renameByName: { [at(index)]: columns[index].name for index in positions },
          },
        },
        { id: 'sortBy', options: { fields: {}, sort: [{ field: sort.by, desc: sort.descending }] } },
      ] + (
        local hidden = [column.name for column in columns if std.get(column, 'hidden', false)];
        if hidden == [] then [] else [{ id: 'organize', options: { excludeByName: { [name]: true for name in hidden }, indexByName: {}, renameByName: {} } }]
      ),
    },

  column(name, target, unit, links=[], more=[]):: {
    name: name,
    target: target,
    properties: [{ id: 'unit', value: unit }] + (if links == [] then [] else [{ id: 'links', value: links }]) + more,
  },
  hidden(name, target):: { name: name, target: target, hidden: true, properties: [] },
  label(name, links=[], width=null):: {
    name: name,
    properties: (if links == [] then [] else [{ id: 'links', value: links }]) + (if width == null then [] else [{ id: 'custom.width', value: width }]),
  },

  // Looks of a cell: the worst severity by name, and red from `bad` on.
  severity:: [{ id: 'mappings', value: [severities] }, { id: 'custom.cellOptions', value: { type: 'color-background', mode: 'basic' } }],
  redFrom(bad, color='red'):: [
    { id: 'thresholds', value: { mode: 'absolute', steps: [{ color: 'text', value: null }, { color: color, value: bad }] } },
    { id: 'custom.cellOptions', value: { type: 'color-text' } },
  ],

  heatmap(title, description, unit, target, width=8)::
    panel('heatmap', title, description, unit, [target { format: 'heatmap' }], width, 8) + {
      options: {
        calculate: false,
        cellGap: 0,
        color: { mode: 'scheme', scheme: 'Oranges', steps: 64, exponent: 0.5, fill: 'dark-orange', scale: 'exponential', reverse: false },
        yAxis: { unit: unit, axisPlacement: 'left' },
        rowsFrame: { layout: 'auto' },
        cellValues: { unit: 'reqps' },
        legend: { show: false },
        exemplars: { color: 'red' },
        showValue: 'never',
      },
    },

  // Where a click on a line, bar or cell leads, and where the panel leads.
  leads(links):: { fieldConfig+: { defaults+: { links: links } } },
  onward(links):: { links: links },

  // Rows of panels, one after the other: [{title, panels}]. Panels flow from the left, 24 columns wide.
  layout(rows)::
    local place(state, item) =
      local wraps = state.x + item.gridPos.w > 24;
      local x = if wraps then 0 else state.x;
      local y = if wraps then state.y + state.height else state.y;
      {
        x: x + item.gridPos.w,
        y: y,
        height: if wraps then item.gridPos.h else std.max(state.height, item.gridPos.h),
        panels: state.panels + [item { gridPos+: { x: x, y: y } }],
      };
    local header(row) = { type: 'row', title: row.title, collapsed: false, panels: [], gridPos: { w: 24, h: 1 } };
    local placed = std.foldl(place, std.flattenArrays([[header(row)] + row.panels for row in rows]), { x: 0, y: 0, height: 0, panels: [] }).panels;
    [placed[index] { id: index + 1 } for index in std.range(0, std.length(placed) - 1)],

  datasource:: datasource,
}
