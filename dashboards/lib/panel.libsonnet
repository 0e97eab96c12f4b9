// Panels of Grafana's classic JSON, without a library. Schema 36 loads in Grafana 10.0 and is migrated by everything newer.
local datasource = { type: 'prometheus', uid: '${datasource}' };

// Series get their look from the beginning of their legend, so that a limit looks the same on every panel.
local dashed(color) = [
  { id: 'color', value: { mode: 'fixed', fixedColor: color } },
  { id: 'custom.lineStyle', value: { fill: 'dash', dash: [8, 6] } },
];
local looks = {
  'critical limit': dashed('red'),
  'warning limit': dashed('orange'),
  'noise floor': dashed('purple'),
  'at least': dashed('purple'),
  reference: dashed('blue'),
  // The band between the two ends of an interval.
  'upper 95 %': [
    { id: 'custom.lineWidth', value: 0 },
    { id: 'custom.fillBelowTo', value: 'lower 95 %' },
    { id: 'custom.fillOpacity', value: 15 },
  ],
  'lower 95 %': [{ id: 'custom.lineWidth', value: 0 }],
};
local overrides(targets) = [
  { matcher: { id: 'byRegexp', options: '/^%s/' % beginning }, properties: looks[beginning] }
  for beginning in std.objectFields(looks)
  if std.length([target for target in targets if std.startsWith(target.legendFormat, beginning)]) > 0
];

local panel(type, title, description, unit, targets, width) = {
  type: type,
  title: title,
  description: description,
  datasource: datasource,
  targets: [targets[index] { refId: std.char(65 + index), datasource: datasource } for index in std.range(0, std.length(targets) - 1)],
  fieldConfig: { defaults: { unit: unit }, overrides: [] },
  gridPos: { w: width, h: 8 },
};

{
  target(expr, legend):: { expr: expr, legendFormat: legend, editorMode: 'code', range: true, interval: '1m' },

  timeseries(title, description, unit, targets, width=8)::
    panel('timeseries', title, description, unit, targets, width) + {
      fieldConfig+: {
        defaults+: { custom: { lineWidth: 1, fillOpacity: 0, showPoints: 'never', spanNulls: false } },
        overrides: overrides(targets),
      },
      options: {
        legend: { displayMode: 'table', placement: 'bottom', showLegend: true, calcs: ['lastNotNull', 'max'] },
        tooltip: { mode: 'multi', sort: 'desc' },
      },
    },

  stat(title, description, unit, target, width=6)::
    panel('stat', title, description, unit, [target], width) + {
      gridPos+: { h: 4 },
      options: {
        reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
        colorMode: 'none',
        graphMode: 'area',
        textMode: 'value',
      },
    },

  // When each series was there.
  timeline(title, description, target, width=24)::
    panel('state-timeline', title, description, 'none', [target], width) + {
      gridPos+: { h: 6 },
      fieldConfig+: {
        defaults+: {
          custom: { fillOpacity: 70, lineWidth: 0, spanNulls: false },
          mappings: [{ type: 'value', options: { '1': { text: 'firing', color: 'red', index: 0 } } }],
        },
      },
      options: { mergeValues: true, showValue: 'never', rowHeight: 0.8, legend: { showLegend: false, displayMode: 'list', placement: 'bottom' } },
    },

  heatmap(title, description, unit, target, width=8)::
    panel('heatmap', title, description, unit, [target { format: 'heatmap' }], width) + {
      options: {
        calculate: false,
        cellGap: 0,
        color: { mode: 'scheme', scheme: 'Oranges', steps: 64, exponent: 0.5, fill: 'dark-orange', scale: 'exponential', reverse: false },
        yAxis: { unit: unit, axisPlacement: 'left' },
        rowsFrame: { layout: 'auto' },
        cellValues: { unit: 'reqps' },
        tooltip: { show: true, yHistogram: false },
        legend: { show: false },
        filterValues: { le: 1e-9 },
        exemplars: { color: 'red' },
        showValue: 'never',
      },
    },

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
