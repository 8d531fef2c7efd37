"""Permissions and the audit: who may do what, and what is recorded about it."""
