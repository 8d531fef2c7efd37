"""FloKit in Slack: see which data sources stopped syncing, resync them, and learn what really happened."""

__version__ = "0.2.0"
