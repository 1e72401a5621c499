"""The benchmark: `python -m bench` from the repository's root. Start at run.py; the rows are in rows_*.py."""
