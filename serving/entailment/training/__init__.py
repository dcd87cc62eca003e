"""Training of the embedded entailment models. Not in the wheel."""
