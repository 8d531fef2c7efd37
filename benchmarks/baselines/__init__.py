"""What people would write otherwise: small programs in the style of Bolt's documentation."""
