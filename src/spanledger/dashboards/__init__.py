"""Builders of the Grafana dashboards, which are JSON in `dashboards/`. They need the extra `dashboards`."""
