"""A mail lab of real programs on loopback, each in its own directory."""
