"""What Prometheus and Grafana are provisioned with, and the script that writes the dashboard."""
