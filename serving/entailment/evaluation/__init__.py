"""Evaluation of entailment models, and the model card that is written from it."""
