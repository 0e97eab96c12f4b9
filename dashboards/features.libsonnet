// The features of one model: which moved, ranked by how far they are beyond what they do by chance.
local board = import 'lib/board.libsonnet';
local link = import 'lib/link.libsonnet';
local panel = import 'lib/panel.libsonnet';
local query = import 'lib/query.libsonnet';

local t = query.target;
local row = query.row;
local chosen = ['feature=~"$feature"'];
local recorded(name, window) = query.recorded(name, { window: window }, chosen);
local selected(series, window) = query.selected(series, { window: window }, chosen);
local byFeature(expr) = 'max by (feature) (' + expr + ')';
local on(left, operator, right, by='model, feature, window') = '%s\n%s on (%s) %s' % [left, operator, by, right];

local ratio(distance, critical) = on(recorded(distance, '1d'), '/', recorded(critical, '1d'));
local psi = ratio('ml_feature_psi', 'ml_feature_psi_critical');
local shift = ratio('ml_feature_mean_shift_sigmas', 'ml_feature_mean_shift_critical_sigmas');
local excess(kind) = selected('ml:feature_%s_excess_ratio' % kind, '1h');
local raw(name) = query.raw(name, ['model', 'window', 'feature'], { window: '1d', baseline: 'reference' }, more=chosen);
local top(expr, count=10) = query.largest(count, expr, 'feature');
local lines(expr) = [t(top(byFeature(expr)), '{{feature}}')];

local ranking(config) =
  local uids = config.dashboardUids;
  local toFeature = link.row(uids.features, 'Only this feature', ['feature'], ['model']);
  local page =
    if config.exporterURL == null then [] else [{
      title: 'Its histogram on the exporter',
      url: std.rstripChars(config.exporterURL, '/') + '/models?model=${model:percentencode}&feature=${__data.fields.feature:percentencode}',
      targetBlank: true,
    }];
  local column(name, expr, unit, decimals, more=[]) =
    panel.column(name, row(byFeature(expr)), unit, [], [{ id: 'decimals', value: decimals }] + more);
  {
    title: 'Which features moved',
    panels: [
      panel.stat(
        'Drifted',
        'Features whose PSI over the last day is above its limit and above its noise floor. Bad: any; several at once share an upstream.',
        'none',
        t(query.count(on(selected('ml:feature_psi:significant', '1d'), '>', query.limitOf('feature_psi', '1d', 'warning'), 'model, feature, window'), selected('ml:feature_psi', '1d')), 'features')
      ) + panel.alarming('orange'),
      panel.stat(
        'Mean has moved',
        'Features whose mean over the last day is further from the reference than the limit and the noise floor. Bad: any.',
        'none',
        t(query.count(on(selected('ml:feature_mean_shift_sigmas:significant', '1d'), '>', query.limitOf('feature_mean_shift_sigmas', '1d', 'warning'), 'model, feature, window'), selected('ml:feature_mean_shift_sigmas', '1d')), 'features')
      ) + panel.alarming('orange'),
      panel.stat(
        'Too many nulls',
        'Features with more nulls in the last hour than the limit and the noise floor allow. Bad: any: a pipeline is broken.',
        'none',
        t(query.count(on(selected('ml:feature_null_excess_ratio:significant', '1h'), '>', query.limitOf('feature_null_excess_ratio', '1h', 'warning'), 'model, feature, window'), selected('ml:feature_null_excess_ratio', '1h')), 'features')
      ) + panel.alarming(),
      panel.stat(
        'Strange values',
        'Features with unreadable values, values out of range, or unseen categories beyond a limit and chance in the last hour. Bad: any.',
        'none',
        t(
          query.count(
            'group by (feature) (%s)' % std.join('\nor ', [
              on(selected('ml:feature_%s_excess_ratio:significant' % kind, '1h'), '>', query.limitOf('feature_%s_excess_ratio' % kind, '1h', 'warning'), 'model, feature, window')
              for kind in ['invalid', 'out_of_range', 'unseen_category']
            ]),
            std.join(' or ', [excess(kind) for kind in ['invalid', 'out_of_range', 'unseen_category']])
          ),
          'features'
        )
      ) + panel.alarming(),
      panel.table(
        'Features, the most drifted first',
        'PSI of the last day divided by its noise floor: what the feature exceeds only by chance, learned from the reference. Bad: above 1 while PSI is also above its limit. '
        + 'The other columns say what kind of change it is: nulls, unreadable, out of range and unseen are shares above those of the reference in the last hour. '
        + 'A noise floor above 1 means that a day is too short for this feature: no alert on its drift.',
        [panel.label('feature', [toFeature] + page, 260)],
        [
          column('PSI / noise floor', psi, 'none', 2, panel.redFrom(1, 'orange')),
          column('PSI', recorded('ml_feature_psi', '1d'), 'none', 3),
          column('Noise floor', recorded('ml_feature_psi_critical', '1d'), 'none', 3),
          column('Mean shift (sd)', recorded('ml_feature_mean_shift_sigmas', '1d'), 'none', 2),
          column('Shift / noise floor', shift, 'none', 2, panel.redFrom(1, 'orange')),
          column('Nulls', excess('null'), 'percentunit', 2),
          column('Unreadable', excess('invalid'), 'percentunit', 2),
          column('Out of range', excess('out_of_range'), 'percentunit', 2),
          column('Unseen', excess('unseen_category'), 'percentunit', 2),
          column('Spread', raw('ml_feature_spread_factor'), 'none', 2),
        ],
        { by: 'PSI / noise floor', descending: true },
        height=10
      ),
    ],
  };

local drift = {
  title: 'Drift, one day: is the data another than what the model knows',
  panels: [
    panel.timeseries(
      'PSI in multiples of the noise floor',
      'PSI divided by what the feature exceeds only by chance. The ten features that were highest in the range are shown. Bad: above 1; the alert needs the next panel too.',
      'none',
      lines(psi) + [t('vector(1)', 'noise floor')],
      width=12
    ),
    panel.timeseries(
      'PSI',
      'How differently a feature is distributed than in the reference. Bad: above the limit, and above the noise floor of the panel before.',
      'none',
      lines(recorded('ml_feature_psi', '1d')) + [query.lowestLimit('feature_psi', '1d', 'warning')],
      width=12
    ),
    panel.timeseries(
      'Mean shift in multiples of the noise floor',
      'Distance of the mean to that of the reference, divided by what it exceeds only by chance. Bad: above 1; the alert needs the next panel too.',
      'none',
      lines(shift) + [t('vector(1)', 'noise floor')],
      width=12
    ),
    panel.timeseries(
      'Mean shift',
      'Distance of the mean to that of the reference, in robust standard deviations. Bad: above the limit. A step is another unit or default, a slope the world.',
      'none',
      lines(recorded('ml_feature_mean_shift_sigmas', '1d')) + [query.lowestLimit('feature_mean_shift_sigmas', '1d', 'warning')],
      width=12
    ),
    panel.timeseries(
      'Spread',
      'Standard deviation of a feature over what is usual; only where the configuration asks for it. Bad: far above 1 (wilder than ever) or near 0 (frozen).',
      'none',
      lines(raw('ml_feature_spread_factor')),
      width=12
    ),
    panel.timeseries(
      'How much more than independent rows',
      'How much more PSI varies between the windows of the reference than for independent rows. Bad: nothing by itself; far above 1 means that rows share their causes, and the noise floor is high.',
      'none',
      [t(top(byFeature(raw('ml_feature_psi_overdispersion')), 5), '{{feature}}')],
      width=12
    ),
  ] + [
    panel.timeseries(
      item.title,
      item.what + ', where the configuration asks for it. Bad: above the limit and above its noise floor (dashed purple).',
      'none',
      [
        t(top(byFeature(recorded('ml_' + item.signal, '1d')), 5), '{{feature}}'),
        t(byFeature(recorded('ml_' + item.signal + '_critical', '1d')) + '\nand on (feature) ' + 'topk(5, max_over_time((%s)[$__range:5m] @ end()))' % byFeature(recorded('ml_' + item.signal, '1d')), 'noise floor {{feature}}'),
        query.lowestLimit(item.signal, '1d', 'warning'),
      ],
      width=12
    )
    for item in [
      { signal: 'feature_js_distance', title: 'Jensen-Shannon distance', what: 'How differently a feature is distributed, from 0 to 1' },
      { signal: 'feature_ks_statistic', title: 'Kolmogorov-Smirnov statistic', what: 'The largest difference of the two cumulative distributions, from 0 to 1' },
      { signal: 'feature_wasserstein', title: 'Wasserstein distance', what: 'How far the values must be moved, in robust standard deviations' },
      { signal: 'feature_spread_factor', title: 'Change of spread', what: 'The factor by which the values spread further or less far than usual' },
    ]
  ],
};

local values = {
  title: 'Values, one hour: is a pipeline broken',
  panels: [
    panel.timeseries(
      'Nulls above the reference',
      'Share of nulls of a feature minus its share in the reference. Bad: above a limit and above the noise floor of the feature; several features at once share an upstream. '
      + 'With a noise floor of 100 % its nulls come in runs, and an hour cannot tell.',
      'percentunit',
      lines(excess('null'))
      + [
        t(
          'clamp_max(%s, 1)\nand on (feature) topk(3, max_over_time((%s)[$__range:5m] @ end()))'
          % [byFeature(recorded('ml_feature_null_critical_ratio', '1h')), byFeature(excess('null'))],
          'noise floor {{feature}}'
        ),
      ]
      + [query.lowestLimit('feature_null_excess_ratio', '1h', severity) for severity in ['warning', 'critical']],
      width=12
    ),
    panel.timeseries(
      'Unreadable values above the reference',
      'Share of rows in which the feature cannot be read as what it should be. Bad: above a limit: an upstream changed its format.',
      'percentunit',
      lines(excess('invalid')) + [query.lowestLimit('feature_invalid_excess_ratio', '1h', severity) for severity in ['warning', 'critical']],
      width=12
    ),
    panel.timeseries(
      'Values out of range above the reference',
      'Share of valid values outside the configured range. Bad: a jump, which often means another unit.',
      'percentunit',
      lines(excess('out_of_range')) + [query.lowestLimit('feature_out_of_range_excess_ratio', '1h', 'warning')],
      width=12
    ),
    panel.timeseries(
      'Unseen categories above the reference',
      'Share of valid values that the reference does not know. Bad: a jump after a release upstream; a slow rise means that the reference is old.',
      'percentunit',
      lines(excess('unseen_category')) + [query.lowestLimit('feature_unseen_category_excess_ratio', '1h', 'warning')],
      width=12
    ),
    panel.timeseries(
      'Nulls, one hour and one day',
      'Share of nulls itself, of the five features that had most. Bad: a day that follows the hour: it lasts.',
      'percentunit',
      [t(top(byFeature(recorded('ml_feature_null_ratio', window)), 5), '{{feature}}, ' + window) for window in ['1h', '1d']],
      width=12
    ),
    panel.timeseries(
      'Schema violations of the model',
      'Violations by kind, above their share of the predictions in the week before. Bad: above a limit: the service that writes the log changed it.',
      'percentunit',
      [t(query.selected('ml:schema_violation_excess_ratio'), '{{kind}}')] + query.limits('schema_violation_excess_ratio', ''),
      width=12
    ),
  ],
};

{
  grafanaDashboards+:: {
    local uids = $._config.dashboardUids,
    [$._config.dashboardUids.features + '.json']: board.board($._config, {
      uid: uids.features,
      title: 'ML features',
      description: 'The features of one model: which moved most, and how.',
      from: 'now-7d',
      variables: [
        board.one('model', 'Model', 'ml_model_info'),
        board.several('feature', 'Feature', 'ml_feature_null_ratio{model="$model"}'),
      ],
      annotations: [board.newVersion($._config, 'model="$model"')] + board.firing('model="$model",layer=~"data|diagnostic"'),
      ofModel: true,
      onward: [link.to(uids.model, 'Open the model')],
      rows: [ranking($._config)] + [
        section { panels: [panel.leads([link.line(uids.features, 'Only this feature', ['feature'], ['model'])]) + item for item in section.panels] }
        for section in [drift, values]
      ],
    }),
  },
}
