"""What runs a model: one contract (contract.py), one table of backends (table.py), and the shelf that keeps versions loaded."""
