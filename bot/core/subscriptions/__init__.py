"""Subscriptions and digests: the parser, the form, and when a digest is due."""
