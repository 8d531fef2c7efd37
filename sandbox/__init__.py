"""A strict local Slack and local FloKit for trying out, developing and testing: in memory, loopback only."""
