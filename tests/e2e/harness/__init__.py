"""A small real gateway for looking at the pages: real tables, store and accounts, seeded results, and simulated jobs."""
