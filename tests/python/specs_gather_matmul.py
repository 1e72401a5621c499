"""specs_gather_matmul.py — rows of products of chosen, masked or segmented matrices."""

SPECS = []
