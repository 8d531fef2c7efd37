"""Commands and button presses as values, and the integrations they refer to."""
