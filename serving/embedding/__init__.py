"""The role ``embedding``: texts in, unit vectors out."""
