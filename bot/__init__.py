"""FloKit in Slack: see which data sources stopped syncing, resync them, and find out what really happened."""

__version__ = "0.2.0"
