// All dashboards, one file each, and the forms in which Grafana takes them in.
(import 'overview.libsonnet')
+ (import 'model.libsonnet')
+ (import 'features.libsonnet')
+ (import 'labels.libsonnet')
+ (import 'latency.libsonnet')
+ (import 'alerts.libsonnet')
+ (import 'exporter.libsonnet')
+ (import 'outputs.libsonnet')
