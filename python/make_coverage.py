"""Write docs/coverage.md, the table of primitives and rules, from the installed mxform: `python python/make_coverage.py [--check]`.

The facts come from the records themselves (`mxform._core._primitives()`). `--check` compares with the page and exits with 1
if it differs.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "coverage.md"
HEAD = """# Coverage

Made by `python/make_coverage.py` from the records of the primitives; do not edit. Every public operation is one of these, or
composed of them. Every entry is run by the tests: `tests/python/specs_*.py` has a row for each primitive, and the rows are
checked under each transformation and their compositions.

| word | meaning |
|---|---|
| written | the record has the rule |
| derived | from the other mode: a pushforward or a pullback is linear, and is transposed |
| expand | from the simpler operations that the primitive is made of |
| loop | the examples one after the other |
| zero | not differentiable (integers, booleans, indices, comparisons): tangents are zeros, of the right shape |
| kept, inlined, dropped | in exported functions: as it is; replaced by simpler operations; left out |
| kernel, view, run | on the CPU: a kernel; another look at the same memory; steps computed in turn (control flow) |
| kernel, CPU | on Metal: a kernel; the CPU's kernel, in the same memory. float64 always runs on the CPU |

`compile(shapeless=True)` is right for every primitive: a call with other shapes is traced anew, sizes are never guessed; what
`export_function(shapeless=True)` does is in [functions in files](export.md). On
float64 and linear algebra see [differences](differences.md). No operation needs another backend than the CPU; the Metal column
is filled in by a build with Metal or its double ([Metal](metal.md)), whose tests run the same rows.

"""


def page():
    # Beside this file lies the package's source, which has no extension module.
    sys.path[:] = [p for p in sys.path if Path(p).resolve() != PAGE.parents[1] / "python"]
    from mxform import _core

    records = _core._primitives()
    metal = metal_column(_core, records)
    lines = [HEAD]
    for mode in ("jvp", "vjp", "vmap"):
        counts = Counter(r[mode] if r["differentiable"] or mode == "vmap" else "zero" for r in records)
        lines.append(f"- {mode}: " + ", ".join(f"{n} {word}" for word, n in counts.most_common()))
    lines.append(f"\n{len(records)} primitives:\n\n| primitive | jvp | vjp | vmap | shapeless | file | CPU | Metal |\n|---|---|---|---|---|---|---|---|")
    for r in records:
        jvp, vjp = (r["jvp"], r["vjp"]) if r["differentiable"] else ("zero", "zero")
        lines.append(f"| {r['name']} | {jvp} | {vjp} | {r['vmap']} | traced anew | {r['export']} | {r['cpu']} | {metal[r['name']]} |")
    return "\n".join(lines) + "\n"


def metal_column(core, records):
    """What each primitive is on Metal: from a build that has it, else as the page says."""
    if hasattr(core.metal, "_planned"):
        planned = set(core.metal._planned())
        return {r["name"]: "kernel" if r["name"] in planned else "CPU" if r["cpu"] == "kernel" else r["cpu"] for r in records}
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    return {r["name"]: "?" for r in records} | {row[0]: row[-1] for row in rows if len(row) == 8}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the page instead of writing it")
    check = parser.parse_args().check
    text = page()
    if not check:
        PAGE.write_text(text)
        print(f"wrote {PAGE.name}")
    elif PAGE.read_text() != text:
        print("docs/coverage.md is not what python/make_coverage.py writes; run it", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
