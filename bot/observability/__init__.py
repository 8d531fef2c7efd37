"""Logs, metrics, traces and the console, for all parts of the bot."""
