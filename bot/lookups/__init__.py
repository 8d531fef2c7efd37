"""Current or cached data about integrations, people and their permissions."""
