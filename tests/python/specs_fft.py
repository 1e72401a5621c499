"""specs_fft.py — rows of Fourier transforms."""

SPECS = []
