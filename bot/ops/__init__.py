"""What operators reach: HTTP routes, health, metrics, `flokit-bot check` and exports."""
