"""A sync run from click to outcome: its state machine, its next check, and its usual duration."""
