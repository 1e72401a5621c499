"""Write the type stubs of the installed mxform: `python python/make_stubs.py [--check]`.

Names, parameters and defaults come from the module itself (inspect.signature); the types of parameters from the
table below, those of results from the `Returns:` section of the docstrings. `--check` compares with the files in
python/mxform and exits with 1 if they differ.
"""

import argparse
import enum
import inspect
import re
import sys
import types
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent / "mxform"
MODULES = ["", "random", "linalg", "fft", "fast", "distributed", "metal", "cuda"]

AXES = "int | Sequence[int] | None"
SHAPE = "int | Sequence[int]"
PARAMETERS = {
    **dict.fromkeys("a b c x y M condition values vals update indices start_indices sorted_sequence "
                    "low high loc scale p logits mean cov lower upper constant_values".split(), "ArrayLike"),
    **dict.fromkeys(["axis", "axes"], AXES),
    **dict.fromkeys(["shape", "strides", "slice_size"], f"{SHAPE} | None"),
    **dict.fromkeys("k n m axis1 axis2 start_axis end_axis kth offset ddof num decimals limit repeats precision seed "
                    "device_index num_samples axis_size chunk_size".split(), "int | None"),
    **dict.fromkeys("keepdims reverse inclusive equal_nan sparse endpoint precise shapeless allow_col_major "
                    "return_index return_inverse return_counts return_metadata has_aux holomorphic invert descending stable "
                    "include_initial full_matrices".split(), "bool"),
    **dict.fromkeys("rtol atol alpha beta".split(), "float"),
    **dict.fromkeys("n_fft hop_length win_length length".split(), "int | None"),
    "s": "Sequence[int] | None", "stft_matrix": "ArrayLike", "window": "ArrayLike | None", "onesided": "bool | None",
    **dict.fromkeys(["norm", "pad_mode"], "str"),
    "stream": "Stream | Device | DeviceType | None",
    "file": "str | os.PathLike[str] | IO[bytes]",
    "arr": "array",
    "dtype": "Dtype | None",
    "key": "array | None",
    "fun": "Callable[..., Any]",
    "mode": "str",
    "indexing": "str",
    "side": "str",
    "subscripts": "str",
    "UPLO": "str",
    "ord": "int | float | str | None",
    "compute_uv": "bool",
    "correction": "float | None",
    "copy": "bool | None",
    "device": "Device | DeviceType | None",
    **dict.fromkeys("prepend append sorter".split(), "ArrayLike | None"),
    **dict.fromkeys("w scales".split(), "ArrayLike"),
    **dict.fromkeys("biases global_scale global_scale_x global_scale_w lhs_indices rhs_indices".split(), "ArrayLike | None"),
    **dict.fromkeys("group_size bits".split(), "int | None"),
    **dict.fromkeys("transpose sorted_indices".split(), "bool"),
}
# Parameters that mean something else in one function.
EXCEPTIONS = {
    **dict.fromkeys([("matrix_rank", "rtol"), ("pinv", "rtol")], "ArrayLike | None"),
    **dict.fromkeys([("scaled_dot_product_attention", "k"), ("gated_delta_update", "k"), ("gated_delta_update", "beta")], "ArrayLike"),
    ("scaled_dot_product_attention", "mask"): "array | str | None",
    **dict.fromkeys([("qqmm", "scales"), ("gather_qqmm", "scales")], "ArrayLike | None"),
    ("export_function", "file_or_callback"): "str | os.PathLike[str] | Callable[[dict[str, Any]], Any]",
    **dict.fromkeys([("exporter", "file"), ("import_function", "file")], "str | os.PathLike[str]"),
    **dict.fromkeys([("exporter", "metadata"), ("export_function", "metadata")], "str | None"),
}
# The first words of a docstring's `Returns:` section, as a type.
RESULTS = {
    "array": "array", "scalar array": "array", "bool": "bool", "int": "int", "float": "float", "dtype": "Dtype",
    "list": "list[array]", "list of array": "list[array]", "tuple": "tuple[Any, ...]", "tuple of array": "tuple[array, ...]",
    "callable": "Callable[..., Any]", "function": "Callable[..., Any]", "none": "None", "dict": "dict[str, Any]",
    **{name.lower(): name for name in ("UniqueAllResult", "UniqueCountsResult", "UniqueInverseResult", "SlogdetResult", "QRResult",
                                       "EighResult", "EigResult")},
    "str": "str", "group": "Group", "device": "Device", "stream": "Stream",
    "functionexporter": "FunctionExporter",
}
# Functions of the runtime, whose docstrings need no `Returns:` section.
RUNTIME = {
    **dict.fromkeys("eval async_eval clear_cache clear_streams disable_compile enable_compile reset_peak_memory seed "
                    "set_origin_tracing set_default_device set_default_stream set_printoptions synchronize register_tree_node".split(), "None"),
    **dict.fromkeys("get_active_memory get_cache_memory get_memory_limit get_peak_memory device_count set_cache_limit "
                    "set_memory_limit set_wired_limit".split(), "int"),
    **dict.fromkeys("default_stream new_stream new_thread_local_stream new_thread_unsafe_stream".split(), "Stream"),
    "default_device": "Device", "is_available": "bool", "device_info": "dict[str, Any]", "broadcast_shapes": "tuple[int, ...]",
    **dict.fromkeys("save savez savez_compressed save_safetensors save_gguf export_function export_to_dot".split(), "None"),
    "load": "array | dict[str, array] | tuple[dict[str, array], dict[str, Any]]",
    "get_printoptions": "PrintOptions", "stream": "StreamContext",
}
HEADER = '''# Made by python/make_stubs.py; do not edit.
from collections.abc import Callable, Sequence
from typing import Any

'''
OPERATORS = re.compile(
    r"__[ri]?(add|sub|mul|truediv|floordiv|mod|pow|matmul|and|or|xor|lshift|rshift|divmod|div)__|"
    r"__(neg|pos|abs|invert|eq|ne|lt|le|gt|ge)__")
SPECIAL = {
    "__len__": "(self) -> int", "__bool__": "(self) -> bool", "__int__": "(self) -> int", "__float__": "(self) -> float",
    "__index__": "(self) -> int", "__complex__": "(self) -> complex", "__hash__": "(self) -> int",
    "__iter__": "(self) -> Any", "__getitem__": "(self, index: Any, /) -> array",
    "__setitem__": "(self, index: Any, value: ArrayLike, /) -> None", "__contains__": "(self, value: Any, /) -> bool",
    "__repr__": "(self) -> str", "__enter__": "(self) -> Any", "__exit__": "(self, *exc: Any) -> None",
    "__next__": "(self) -> array", "__call__": "(self, *args: Any, **kwargs: Any) -> Any",
}
PROPERTIES = {
    "shape": "tuple[int, ...]", "dtype": "Dtype", "ndim": "int", "size": "int", "itemsize": "int", "nbytes": "int",
    "T": "array", "mT": "array", "real": "array", "imag": "array", "at": "ArrayAt", "device": "Device",
}


def result_type(doc):
    found = re.search(r"Returns:\n\s+([A-Za-z_][\w ]*?)[:.,\n(]", doc or "")
    return RESULTS.get(found[1].strip().lower(), "Any") if found else "Any"


def default_text(value):
    return "..." if isinstance(value, float) or not isinstance(value, (int, str, type(None), bool)) else repr(value)


def signature_text(f):
    """The parameters with their types, as in a `def`."""
    parts, kinds = [], inspect.Parameter
    previous = None
    for p in inspect.signature(f).parameters.values():
        if previous is kinds.POSITIONAL_ONLY and p.kind is not previous:
            parts.append("/")
        if p.kind is kinds.KEYWORD_ONLY and previous not in (kinds.KEYWORD_ONLY, kinds.VAR_POSITIONAL):
            parts.append("*")
        previous = p.kind
        stars = {kinds.VAR_POSITIONAL: "*", kinds.VAR_KEYWORD: "**"}.get(p.kind, "")
        text = stars + p.name
        if p.name != "self":
            text += ": " + EXCEPTIONS.get((getattr(f, "__name__", ""), p.name), PARAMETERS.get(p.name, "Any"))
            if p.default is not p.empty:
                text += f" = {default_text(p.default)}"
        parts.append(text)
    if previous is kinds.POSITIONAL_ONLY:
        parts.append("/")
    return "(" + ", ".join(parts) + ")"


def function_stub(name, f, indent=""):
    try:
        parameters = signature_text(f)
    except (ValueError, TypeError):
        parameters = "(self, *args: Any, **kwargs: Any)" if indent else "(*args: Any, **kwargs: Any)"
    result = RUNTIME.get(name, "Any") if not indent else "Any"
    if result == "Any":
        result = result_type(f.__doc__)
    return f"{indent}def {name}{parameters} -> {result}: ..."


def class_stub(name, cls):
    if hasattr(cls, "_fields"):
        return "\n".join([f"class {name}(NamedTuple):"] + [f"    {field}: array" for field in cls._fields])
    bases = [b.__name__ for b in cls.__bases__ if b is not object and not b.__name__.startswith("pybind11")]
    lines = [f"class {name}({', '.join(bases)}):" if bases else f"class {name}:"]
    if issubclass(cls, BaseException):
        return lines[0] + " ..."
    if issubclass(cls, enum.Enum):
        return "\n".join([f"class {name}(enum.Enum):"] + [f"    {m.name}: int" for m in cls])
    if name == "array":
        lines.append("    def __init__(self, val: Any, dtype: Dtype | None = None) -> None: ...")
    elif callable(getattr(cls, "__init__", None)) and "__init__" in vars(cls):
        lines.append("    def __init__(self, *args: Any, **kwargs: Any) -> None: ...")
    for member, value in sorted(vars(cls).items()):
        if member in SPECIAL and not (member == "__getitem__" and name != "array"):
            lines.append(f"    def {member}{SPECIAL[member]}: ...")
        elif OPERATORS.fullmatch(member):
            unary = member in ("__neg__", "__pos__", "__abs__", "__invert__")
            argument = "self" if unary else "self, other: Any, /"
            lines.append(f"    def {member}({argument}) -> {'array' if name == 'array' else 'bool'}: ...")
        elif member.startswith("_"):
            continue
        elif isinstance(value, (property, types.GetSetDescriptorType)):
            lines += ["    @property", f"    def {member}(self) -> {PROPERTIES.get(member, 'Any')}: ..."]
        elif callable(value) or isinstance(value, types.MethodDescriptorType):
            lines.append(function_stub(member, getattr(cls, member), "    "))
    return "\n".join(lines if len(lines) > 1 else [lines[0] + " ..."])


def module_stub(module, root):
    constants, classes, functions, submodules = [], [], [], []
    for name, value in ((n, getattr(module, n)) for n in sorted(dir(module))):
        if name.startswith("_") and name != "__version__":
            continue
        if isinstance(value, types.ModuleType):
            if value.__name__.split(".")[-1] in MODULES:
                submodules.append(f"from . import {name} as {name}")
        elif name == "ArrayLike":
            continue  # an alias in the stub, so that numbers and lists are accepted
        elif isinstance(value, type):
            classes.append(class_stub(name, value))
        elif callable(value):
            functions.append(function_stub(name, value))
        else:
            constants.append(f"{name}: {type(value).__name__ if value is not None else 'None'}")
    if module is root:
        head = HEADER.replace("from collections", "import enum\nimport os\nfrom collections").replace("import Any", "import IO, Any")
        classes.insert(0, "ArrayLike = Any  # array, number, nested list, NumPy array, anything with DLPack or the buffer protocol")
    else:
        head = HEADER + "from . import ArrayLike, Device, DeviceType, Dtype, Stream, array\n\n"
    sections = [submodules, constants, classes, functions]
    text = head + "\n\n".join("\n".join(s) for s in sections if s) + "\n"
    if "(NamedTuple)" in text:
        text = text.replace("Any\n", "Any, NamedTuple\n", 1)
    # Where `bool` is a dtype, Python's bool needs its full name.
    return re.sub(r"(: |-> |\| )bool\b", r"\1builtins.bool", text).replace("import enum", "import builtins\nimport enum") if module is root else text


def stubs():
    """File name -> text, for every public module of the installed mxform, not of the source beside this file."""
    sys.path = [p for p in sys.path if Path(p or ".").resolve() != PACKAGE.parent]
    import mxform

    return {
        f"{name or '__init__'}.pyi": module_stub(getattr(mxform, name) if name else mxform, mxform) for name in MODULES
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    args = parser.parse_args()
    stale = []
    for name, text in stubs().items():
        path = PACKAGE / name
        if not args.check:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            stale.append(name)
    if stale:
        sys.exit(f"stale stubs: {', '.join(stale)}; run python python/make_stubs.py")


if __name__ == "__main__":
    main()
