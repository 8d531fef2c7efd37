"""The rows: each module measures one thing and returns its lines of the table."""
