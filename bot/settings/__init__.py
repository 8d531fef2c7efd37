"""Settings from the environment or `.env`, and the policy file."""
