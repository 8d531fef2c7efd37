"""What people type and click, as values; and which integrations they mean."""
