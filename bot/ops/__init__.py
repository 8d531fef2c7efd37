"""For operators: HTTP routes, health, metrics, `flokit-bot check` and exports."""
