"""Subscriptions and digests: what people type or choose in the form, and when a digest is due."""
