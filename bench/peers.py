"""The libraries, as the worker sees them: how to make an array, compile, wait for a result, and read it."""

import importlib

import numpy as np

MODULES = {"mxform": "mxform", "mlx": "mlx.core", "jax": "jax", "torch": "torch", "inductor": "torch", "numpy": "numpy"}


class Peer:
    """One library. `array` takes a NumPy array and the dtype floating data should have."""

    def __init__(self, name):
        self.name = name
        self.lib = importlib.import_module(MODULES[name])
        self.version = getattr(self.lib, "__version__", "")
        if name in ("mxform", "mlx"):
            self.jit = self.lib.compile
        elif name == "jax":
            self.jit = self.lib.jit
        elif name == "inductor":
            # One specialised program for each shape, as for the other compilers.
            self.jit = lambda f: self.lib.compile(f, dynamic=False)
        else:
            self.jit = lambda f: f

    def array(self, a, dtype):
        floating = a.dtype == np.float32
        if self.name in ("mxform", "mlx"):
            out = self.lib.array(np.ascontiguousarray(a))
            out = out.astype(getattr(self.lib, dtype)) if floating else out
            self.lib.eval(out)
            return out
        if self.name == "jax":
            return self.lib.numpy.asarray(a, dtype=dtype if floating else None).block_until_ready()
        if self.name in ("torch", "inductor"):
            out = self.lib.tensor(np.ascontiguousarray(a))
            return out.to(getattr(self.lib, dtype)) if floating else out
        return np.ascontiguousarray(a)

    def waiter(self, result):
        """A function that waits for results like this one to be there."""
        if self.name in ("mxform", "mlx"):
            return self.lib.eval
        if self.name == "jax":
            return (lambda a: a.block_until_ready()) if hasattr(result, "block_until_ready") else self.lib.block_until_ready
        return None  # the others compute at once

    def numpy(self, a):
        if self.name in ("mxform", "mlx"):
            if "bfloat16" in str(a.dtype):
                a = a.astype(self.lib.float32)
            return np.array(a)
        if self.name in ("torch", "inductor"):
            a = a.detach()
            return (a.float() if a.dtype == self.lib.bfloat16 else a).numpy()
        a = np.asarray(a)
        return a if a.dtype.kind in "fciub" else a.astype(np.float32)


def map_tree(f, tree):
    if isinstance(tree, dict):
        return {k: map_tree(f, v) for k, v in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [map_tree(f, v) for v in tree]
    return f(tree)


def leaves(tree):
    if isinstance(tree, dict):
        return [leaf for k in sorted(tree) for leaf in leaves(tree[k])]
    if isinstance(tree, (list, tuple)):
        return [leaf for v in tree for leaf in leaves(v)]
    return [tree]
