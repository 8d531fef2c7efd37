"""Forms: what they were opened for, and how their values are read."""
