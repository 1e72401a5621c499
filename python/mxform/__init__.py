"""mxform: arrays that are computed when needed, and transformations of functions of arrays.

``import mxform as mx``; then ``mx.array``, operations such as ``mx.sum``, transformations such as ``mx.grad``
and ``mx.vmap``. Nearly everything is in the extension module ``mxform._core``; what is written in Python is in
``transforms``, ``derivatives``, ``compile``, ``control``, ``debug``, ``export``, ``tree`` and ``io``, which are
imported when a name of theirs is first asked for.
"""

import reprlib as _reprlib
import sys as _sys

from . import _core
from ._core import *  # noqa: F403
from ._core import __version__  # noqa: F401

# The public names of each module written in Python; test_manifest.py compares them with its `__all__`.
_MODULES = {
    "array_api": ("__array_api_version__", "__array_namespace_info__"),
    "control": ("cond", "switch", "scan", "while_loop", "fori_loop", "map", "associative_scan"),
    "debug": ("ShapeDtypeStruct", "debug_nans", "debug_print", "eval_shape", "make_program"),
    "derivatives": ("jacfwd", "jacrev", "hessian", "hvp", "linearize", "vjp_fn"),
    "export": ("FunctionExporter", "exporter", "import_function"),
    "io": ("load", "save", "save_gguf", "save_safetensors", "savez", "savez_compressed"),
    "transforms": ("grad", "value_and_grad", "vjp", "jvp", "vmap", "checkpoint", "custom_function"),
    "tree": ("TreeDef", "register_tree_node", "tree_flatten", "tree_leaves", "tree_map", "tree_unflatten"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

# The extension's submodules under their public names, so that `import mxform.random` works too.
for _module in [m for m in vars(_core).values() if type(m) is type(_sys)]:
    if _module.__name__.startswith("mxform._core."):
        _module.__name__ = _module.__name__.replace("._core", "")
        _sys.modules[_module.__name__] = _module
del _module


def __getattr__(name):
    if name == "__all__":  # of `from mxform import *`
        return [n for n in __dir__() if not n.startswith("_")]
    if name in _MODULE_OF:
        value = getattr(__import__(f"{__name__}.{_MODULE_OF[name]}", fromlist=(name,)), name)
    elif name in _MODULES:
        return __import__(f"{__name__}.{name}", fromlist=(name,))
    else:
        value = getattr(_core, name, None) if not name.startswith("_") else None
        if value is None:
            raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *(n for n in dir(_core) if not n.startswith("_")), *_MODULE_OF, *_MODULES})


# reprlib (and with it pytest) goes by the name of a type, and takes ours for the standard library's `array`.
def _repr_array(self, x, level, _standard=_reprlib.Repr.repr_array):
    return self.repr_instance(x, level) if isinstance(x, _core.array) else _standard(self, x, level)


_reprlib.Repr.repr_array = _repr_array

# Now, because the function has the name of its module, which would stand in its place if that came later.
from .compile import *  # noqa: E402, F403
