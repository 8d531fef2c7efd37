"""Background work: workers claim due work in the store and do it."""
