"""Durable jobs: pipelines of stages, run by a worker each, kept going by the runner, and their rows in the tables."""
