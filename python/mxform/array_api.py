"""What the Python array API standard (https://data-apis.org/array-api) asks a namespace to say about itself.

The functions of the standard are those of ``mxform``, ``mxform.linalg`` and ``mxform.fft``; docs/interoperation.md
lists what deviates.
"""

from . import _core

__all__ = ["__array_api_version__", "__array_namespace_info__"]

__array_api_version__ = "2024.12"

_KINDS = {
    "bool": ("bool",),
    "signed integer": ("int8", "int16", "int32", "int64"),
    "unsigned integer": ("uint8", "uint16", "uint32", "uint64"),
    "real floating": ("float32", "float64"),
    "complex floating": ("complex64",),
}
_KINDS["integral"] = _KINDS["signed integer"] + _KINDS["unsigned integer"]
_KINDS["numeric"] = _KINDS["integral"] + _KINDS["real floating"] + _KINDS["complex floating"]
_EVERY = _KINDS["bool"] + _KINDS["numeric"]


class _NamespaceInfo:
    """Answers about devices and dtypes, in the words of the array API standard."""

    def capabilities(self):
        """Tell what is supported: boolean masks, shapes that depend on values, any number of axes."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": None}

    def default_device(self):
        """Give the device on which operations run."""
        return _core.default_device()

    def devices(self):
        """Give the devices that this build can use."""
        kinds = [_core.cpu, _core.gpu]
        return [_core.Device(kind) for kind in kinds if _core.device_count(kind) > 0]

    def default_dtypes(self, *, device=None):
        """Give the dtypes that Python numbers and index results have."""
        return {
            "real floating": _core.float32,
            "complex floating": _core.complex64,
            "integral": _core.int32,
            "indexing": _core.int64,
        }

    def dtypes(self, *, device=None, kind=None):
        """Give the standard's dtypes that are supported, by name: all but complex128.

        Args:
            device (Device, optional): All devices have the same.
            kind (str or tuple of str, optional): As for ``isdtype``. Default: every kind.

        Raises:
            ValueError: If a kind is not known.
        """
        if kind is None:
            names = _EVERY
        else:
            names = []
            for k in kind if isinstance(kind, tuple) else (kind,):
                if not isinstance(k, str) or k not in _KINDS:
                    raise ValueError(f"[dtypes] unknown kind {k!r}; need one of {', '.join(map(repr, _KINDS))}, or a tuple of them.")
                names += [n for n in _KINDS[k] if n not in names]
        return {n: getattr(_core, n) for n in names}

    def __repr__(self):
        return "mxform.__array_namespace_info__()"


def __array_namespace_info__():
    """Describe this implementation of the array API standard.

    Returns:
        An object with the methods ``capabilities``, ``default_device``, ``default_dtypes``, ``devices`` and ``dtypes``.

    Example:
        >>> sorted(mx.__array_namespace_info__().dtypes(kind="real floating"))
        ['float32', 'float64']
    """
    return _NamespaceInfo()
