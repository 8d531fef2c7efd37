"""Slack, as this bot uses it: the Web API client, Socket Mode, rates and scopes."""
