"""A local Slack and a local FloKit to try, develop and test against: strict, in memory, on loopback only."""
