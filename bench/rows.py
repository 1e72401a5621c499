"""A row of the benchmark, and the list of all of them.

A row is one piece of work with one program for each library, written as a user of that library would write it. A
program is `make(lib, jit) -> f`, where `lib` is the module (mxform and MLX share an API and thus a program) and `jit`
its compiler (`mx.compile`, `jax.jit`, `torch.compile` for inductor; for the others it returns its argument).
`f(*inputs)` is what is timed, with its results evaluated. Add a row to one of the rows_*.py files, and that is all.
"""

import fnmatch
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

PEERS = ("mxform", "mlx", "jax", "torch", "inductor", "numpy")
# Which program a peer runs when the row has none under its own name.
PROGRAM = {"mxform": "mx", "mlx": "mx", "jax": "jax", "torch": "torch", "inductor": "torch", "numpy": "numpy"}


@dataclass
class Row:
    number: str  # "4a": the row of the table, then the size
    name: str
    data: Callable  # generator -> inputs: NumPy arrays in lists and dicts
    programs: dict  # by library, or by peer
    bar: float = 1.0
    flops: float = 0.0  # the least work, for the limit
    bytes: float = 0.0
    tolerance: float = 1e-4  # relative to the largest magnitude of the result
    dtype: str = "float32"  # what floating inputs become
    skip: tuple = ()  # peers for which the row makes no sense
    not_counted: tuple = ()  # shown, but no bar: the text of docs/performance.md says why
    whole: bool = False  # f(*inputs) returns a function without arguments that also waits for its result
    layout: dict = field(default_factory=dict)  # by library: inputs -> inputs in its own axis order
    canonical: dict = field(default_factory=dict)  # by library: result -> result in the common axis order
    digest: Callable | None = None  # NumPy result -> numbers to compare, where the values themselves differ
    once: bool = False  # each call is a first call: no warm-up
    kind: str = "time"  # "time", or what measures.py measures: "memory", "import", ...
    unit: str = "s"
    higher: bool = False  # more is better
    note: str = ""

    def __post_init__(self):
        self.title = f"{self.number} {self.name}"

    def program(self, peer):
        if peer in self.skip:
            return None
        return self.programs.get(peer, self.programs.get(PROGRAM[peer]))

    def layout_of(self, peer):
        return self.layout.get(PROGRAM[peer], lambda inputs: inputs)

    def canonical_of(self, peer):
        return self.canonical.get(PROGRAM[peer], lambda result: result)

    def inputs(self):
        return self.data(np.random.default_rng(0))


def normal(*shapes):
    """A `data` of standard normal float32 arrays."""
    return lambda rng: [rng.standard_normal(shape, dtype=np.float32) for shape in shapes]


def all_rows():
    from bench import (
        rows_data,
        rows_elementwise,
        rows_matmul,
        rows_process,
        rows_training,
        rows_transforms,
    )

    modules = (rows_elementwise, rows_matmul, rows_training, rows_transforms, rows_data, rows_process)
    rows = [row for module in modules for row in module.ROWS]
    return sorted(rows, key=lambda row: (int(row.number.rstrip("abcdefgh")), row.number))


def select(pattern):
    """Rows whose number or title matches one of the comma-separated patterns (`4`, `4a`, `*matmul*`)."""
    wanted = [p.strip() for p in pattern.split(",")]

    def hit(row):
        return any(
            p in (row.number, row.number.rstrip("abcdefgh")) or fnmatch.fnmatch(row.title, p) for p in wanted
        )

    return [row for row in all_rows() if hit(row)]
