"""What the pages and the HTTP routes do, as functions that a test and a notebook can call."""
