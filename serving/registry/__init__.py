"""Which versions of each role's model there are, where they come from, and which one serves."""
