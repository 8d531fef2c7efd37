"""What people ask for: each command, button and form has one function here that serves it."""
