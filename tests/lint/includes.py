"""Who may include whom: a folder of csrc/ includes only folders below it. Prints offenders, exits with 1."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAY = {
    "base": "base",
    "scalar": "base scalar",
    "graph": "base graph",
    "ops": "base graph ops",
    "runtime": "base graph runtime",
    "transforms": "base graph ops transforms",
    "compile": "base graph ops transforms compile runtime",
    "control": "base graph ops transforms compile runtime control",
    "export": "base graph ops transforms compile runtime control export",
    "inspect": "base graph ops transforms compile runtime control export inspect",
    "backend/cpu": "base graph runtime scalar backend/cpu",
    "backend/metal": "base graph runtime scalar backend/metal",
}
# Of a layer that is not listed above, a folder may still know these files.
EXCEPT = {
    "backend/cpu": r"ops/\w+_params\.h|ops/\w+\.def|compile/program\.h",
    "backend/metal": r"ops/\w+_params\.h|ops/\w+\.def|compile/program\.h",
    "compile": r"transforms/function\.h",
}


def layer(path):
    return "backend/" + path.split("/")[1] if path.startswith("backend/") else path.split("/")[0]


def main():
    bad = []
    for f in sorted(ROOT.glob("csrc/*/**/*")):
        if f.suffix not in (".h", ".cpp", ".def"):
            continue
        here = layer(f.relative_to(ROOT / "csrc").as_posix())
        for number, line in enumerate(f.read_text().splitlines(), 1):
            found = re.match(r'#include "([^"]+)"', line)
            if not found or "/" not in found[1]:
                continue
            if layer(found[1]) in MAY[here].split() or re.fullmatch(EXCEPT.get(here, "$^"), found[1]):
                continue
            bad.append(f"{f.relative_to(ROOT)}:{number}: {here} may not include {found[1]}")
    print("\n".join(bad) or "include directions are right")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
