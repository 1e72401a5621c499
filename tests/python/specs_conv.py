"""specs_conv.py — rows of convolutions."""

SPECS = []
