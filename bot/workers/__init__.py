"""What runs automatically: workers claim due work in the store and do it."""
