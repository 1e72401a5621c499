"""specs_linalg_spectral.py — rows of qr, singular values, eigenvalues, norms."""

SPECS = []
