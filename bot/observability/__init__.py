"""What every part may report to: logs, metrics and traces."""
