"""Incidents: when one opens, changes and ends, and what is posted about it in subscribed channels."""
