"""specs_fast.py — rows of mx.fast."""

SPECS = []
