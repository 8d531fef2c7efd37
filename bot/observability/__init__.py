"""What every part may report to: logs, metrics, traces and the console."""
