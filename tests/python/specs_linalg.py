"""specs_linalg.py — rows of factorisations and solvers."""

SPECS = []
