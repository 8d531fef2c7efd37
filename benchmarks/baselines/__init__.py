"""What people would use otherwise: small programs in the style of the Bolt documentation."""
