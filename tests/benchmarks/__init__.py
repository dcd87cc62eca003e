"""Quality and speed, each a script with a printed table: ``make bench``, or ``make bench ARGS="llm_streams"``."""
