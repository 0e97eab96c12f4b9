"""ml-exporter: reads prediction logs, joins late labels, and exposes what an ML team watches to Prometheus."""

__version__ = "0.1.0"
