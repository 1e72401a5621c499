"""specs_distributed.py — rows of communication in a group of one."""

SPECS = []
