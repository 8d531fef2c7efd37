"""What is known right now or was known last: integrations, people and their permissions."""
