"""Rows that measures.py measures: what a library costs before, around and beside the work."""

from bench.rows import Row

NOT_EAGER = ("inductor", "numpy")
COMPILERS_ONLY = ("torch", "numpy")


def measured(number, name, kind, skip, unit="s", **more):
    return Row(number, name, None, {}, kind=kind, skip=skip, unit=unit, **more)


ROWS = [
    measured("27", "import", "import", ("inductor",), not_counted=("numpy",)),
    measured("28", "wheel size (all files compressed)", "wheel", ("inductor",), unit="bytes", not_counted=("numpy",)),
    measured("29", "first call of the compiled step of row 13", "first:13", COMPILERS_ONLY),
    measured("30a", "peak memory, MLP training step (13)", "memory:13", NOT_EAGER, unit="bytes"),
    measured("30b", "peak memory, causal attention (14)", "memory:14", NOT_EAGER, unit="bytes"),
    measured("30c", "peak memory, transformer block (15)", "memory:15", NOT_EAGER, unit="bytes"),
    measured("31a", "all threads against one, chain (5)", "threads:5", NOT_EAGER, unit="times", higher=True),
    measured("31b", "all threads against one, matmul 1024^3 (9b)", "threads:9b", NOT_EAGER, unit="times", higher=True),
    measured("31c", "all threads against one, MLP step (13)", "threads:13", NOT_EAGER, unit="times", higher=True),
]
