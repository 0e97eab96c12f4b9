// All dashboards, one file each.
import 'model.libsonnet'
