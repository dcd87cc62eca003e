"""Labelled pairs of claim or requirement and passage: public data sets, and those written or made here."""
