"""Run one program written for MLX: `python run.py {mlx|mxform} program folder`. The result is JSON on the last line.

A program is a file of this folder that imports `mlx.core`, `mlx.nn`, ... and defines `main(folder)`, which returns what
is compared. For `mxform`, the name `mlx.core` stands for mxform; the pure Python packages are MLX's own.
"""

import importlib
import json
import sys
import types


def alias():
    """From here on `import mlx.core as mx` imports mxform."""
    import mxform

    import mlx

    sys.modules["mlx.core"] = mlx.core = mxform
    for name, module in vars(mxform).items():
        if isinstance(module, types.ModuleType) and module.__name__.startswith("mxform."):
            sys.modules[f"mlx.core.{name}"] = module


def plain(x):
    """Arrays of any kind as lists."""
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [plain(v) for v in x]
    return x.tolist() if hasattr(x, "tolist") else x


def main():
    which, program, folder = sys.argv[1:]
    if which == "mxform":
        alias()
    import mlx.core as mx

    assert mx.__name__ == {"mlx": "mlx.core", "mxform": "mxform"}[which], f"mlx.core is {mx}"
    print(json.dumps(plain(importlib.import_module(program).main(folder))))


if __name__ == "__main__":
    main()
