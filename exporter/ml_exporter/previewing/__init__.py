"""Grafana dashboards as values: what their JSON asks of a Prometheus, and what the answers look like.

Nothing here asks or draws. `preview` does both.
"""
