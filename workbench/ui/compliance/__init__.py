"""Document analysis, its dashboard, and the requirements of the policies."""
