"""mxform: arrays that are computed when needed, and transformations of functions of arrays.

``import mxform as mx``; then ``mx.array``, operations such as ``mx.sum``, transformations such as ``mx.grad``
and ``mx.vmap``. Nearly everything is in the extension module ``mxform._core``; what is written in Python is in
``transforms``, ``derivatives``, ``compile``, ``export``, ``tree`` and ``io``.
"""

import reprlib as _reprlib
import sys as _sys

from . import _core
from ._core import *  # noqa: F403
from ._core import __version__  # noqa: F401

# The extension's submodules under their public names, so that `import mxform.random` works too.
for _module in [m for m in vars(_core).values() if isinstance(m, type(_sys))]:
    if _module.__name__.startswith("mxform._core."):
        _module.__name__ = _module.__name__.replace("._core", "")
        _sys.modules[_module.__name__] = _module
del _module


# reprlib (and with it pytest) goes by the name of a type, and takes ours for the standard library's `array`.
def _repr_array(self, x, level, _standard=_reprlib.Repr.repr_array):
    return self.repr_instance(x, level) if isinstance(x, _core.array) else _standard(self, x, level)


_reprlib.Repr.repr_array = _repr_array

from .array_api import *  # noqa: E402, F403
from .compile import *  # noqa: E402, F403
from .control import *  # noqa: E402, F403
from .debug import *  # noqa: E402, F403
from .derivatives import *  # noqa: E402, F403
from .export import *  # noqa: E402, F403
from .io import *  # noqa: E402, F403
from .transforms import *  # noqa: E402, F403
from .tree import *  # noqa: E402, F403
