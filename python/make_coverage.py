"""Write docs/coverage.md, the table of primitives and rules, from the installed mxform:
`python python/make_coverage.py [--metal FILE] [--check]`.

The facts come from the records themselves (`mxform._core._primitives()`), and those of the Metal column from a run: FILE is what
`MXFORM_METAL_RAN=FILE MXFORM_DEVICE=gpu pytest tests/python/test_specs.py` wrote (tests/metal.sh). Without it the column stays as
it is. `--check` compares with the page and exits with 1 if it differs.
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
| value, derivative, vmap, compile | on Metal: a kernel, which was launched when the rows' values, derivatives, batches and compiled calls were tested. Elementwise operations are parts of one larger kernel in compiled calls |
| CPU | on Metal: the CPU's kernel, in the same memory. float64 always runs on the CPU |

`compile(shapeless=True)` is right for every primitive: a call with other shapes is traced anew, sizes are never guessed; what
`export_function(shapeless=True)` does is in [functions in files](export.md). On
float64 and linear algebra see [differences](differences.md). No operation needs another backend than the CPU; the Metal column
is the record of a run of the same rows on the double of a GPU ([Metal](metal.md)).

"""


def page(metal_run=None):
    # Beside this file lies the package's source, which has no extension module.
    sys.path[:] = [p for p in sys.path if Path(p).resolve() != PAGE.parents[1] / "python"]
    from mxform import _core

    records = _core._primitives()
    metal = metal_column(_core, records, metal_run)
    lines = [HEAD]
    for mode in ("jvp", "vjp", "vmap"):
        counts = Counter(r[mode] if r["differentiable"] or mode == "vmap" else "zero" for r in records)
        lines.append(f"- {mode}: " + ", ".join(f"{n} {word}" for word, n in counts.most_common()))
    lines.append(f"\n{len(records)} primitives:\n\n| primitive | jvp | vjp | vmap | shapeless | file | CPU | Metal |\n|---|---|---|---|---|---|---|---|")
    for r in records:
        jvp, vjp = (r["jvp"], r["vjp"]) if r["differentiable"] else ("zero", "zero")
        lines.append(f"| {r['name']} | {jvp} | {vjp} | {r['vmap']} | traced anew | {r['export']} | {r['cpu']} | {metal[r['name']]} |")
    return "\n".join(lines) + "\n"


def metal_column(core, records, run):
    """What each primitive is on Metal: by the record of a run, else as the page says."""
    if run is None:
        rows = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
        return {r["name"]: "?" for r in records} | {row[0]: row[-1] for row in rows if len(row) == 8}
    launched = set(tuple(line.split()) for line in run.read_text().splitlines())
    words = {r["name"]: [w for w in ("value", "derivative", "vmap", "compile") if (w, r["name"]) in launched] for r in records}
    idle = [name for name in core.metal._planned() if not words[name]]
    if idle:
        sys.exit(f"{run}: these have kernels for the GPU, and none was launched: {', '.join(idle)}")
    return {r["name"]: ", ".join(words[r["name"]]) or ("CPU" if r["cpu"] == "kernel" else r["cpu"]) for r in records}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the page instead of writing it")
    parser.add_argument("--metal", metavar="FILE", type=Path, help="which primitives a run of test_specs.py launched on the GPU")
    options = parser.parse_args()
    check, text = options.check, page(options.metal)
    if not check:
        PAGE.write_text(text)
        print(f"wrote {PAGE.name}")
    elif PAGE.read_text() != text:
        print("docs/coverage.md is not what python/make_coverage.py writes; run it with the same options", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
