// The dashboards as Grafana takes them in: from a folder of files, or from ConfigMaps that its sidecar collects.
{
  // Provider for a folder of files. `path` is where the files lie in Grafana's own file system.
  grafanaProvisioning+:: {
    'ml-exporter.yaml': {
      apiVersion: 1,
      providers: [
        {
          name: 'ml-exporter',
          folder: $._config.grafanaFolder,
          type: 'file',
          disableDeletion: false,
          allowUiUpdates: false,
          options: { path: $._config.grafanaDashboardsPath },
        },
      ],
    },
  },

  // One ConfigMap a dashboard, small enough for `kubectl apply`, which repeats its content in an annotation.
  grafanaConfigMaps+:: {
    [std.strReplace(file, '.json', '.yaml')]: {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {
        name: 'grafana-dashboard-' + std.strReplace(file, '.json', ''),
        labels: { grafana_dashboard: '1', 'app.kubernetes.io/part-of': 'ml-exporter' },
        annotations: { grafana_folder: $._config.grafanaFolder },
      } + (if $._config.operatorNamespace == null then {} else { namespace: $._config.operatorNamespace }),
      data: { [file]: std.toString($.grafanaDashboards[file]) },
    }
    for file in std.objectFields($.grafanaDashboards)
  },
}
