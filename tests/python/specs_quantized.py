"""specs_quantized.py — rows of quantized formats and their products."""

SPECS = []
