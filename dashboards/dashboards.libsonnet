// All dashboards, one file each.
(import 'overview.libsonnet')
+ (import 'model.libsonnet')
+ (import 'features.libsonnet')
+ (import 'labels.libsonnet')
+ (import 'latency.libsonnet')
+ (import 'alerts.libsonnet')
+ (import 'exporter.libsonnet')
