"""Incidents: when one opens, changes and ends, and what the channels that subscribe to it hear about it."""
