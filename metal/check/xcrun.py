"""Stands in for `xcrun -sdk macosx metal` and `metallib` in the cross build: shows that CMake calls them as it should.

It refuses what Apple's tools would refuse of the command line, and writes files that only list what went in. What the kernels
say is checked by lint.py and by running them (metal/host). MXFORM_XCRUN=missing makes it answer as Xcode without the Metal toolchain does.
"""

import os
import pathlib
import sys


def fail(text):
    sys.exit(f"error: {text}")


def metal(arguments):
    flags = {a.partition("=")[0] for a in arguments if a.startswith("-")}
    sources = [a for a in arguments if a.endswith(".metal")]
    for need in ("-std", "-mmacosx-version-min", "-fno-fast-math", "-ffp-contract"):
        if need not in flags:
            fail(f"metal: {need} is not given: {arguments}")
    if len(sources) != 1 or not pathlib.Path(sources[0]).exists():
        fail(f"metal: one existing source is needed, not {sources}")
    if "-E" in flags:
        print("310")
        return
    for folder in (a[2:] for a in arguments if a.startswith("-I")):
        if not pathlib.Path(folder).is_dir():
            fail(f"metal: no such folder: -I{folder}")
    if "-c" not in flags or "-o" not in flags:
        fail("metal: -c and -o are needed")
    pathlib.Path(arguments[arguments.index("-o") + 1]).write_text(f"{sources[0]}\n")


def metallib(arguments):
    out = pathlib.Path(arguments[arguments.index("-o") + 1])
    airs = [pathlib.Path(a) for a in arguments if a.endswith(".air")]
    out.write_text("MTLB stand-in, made of\n" + "".join(a.read_text() for a in airs))


def main(arguments):
    if arguments[:2] != ["-sdk", "macosx"] or arguments[2:3] not in (["metal"], ["metallib"]):
        fail(f"xcrun: unexpected arguments {arguments}")
    if os.environ.get("MXFORM_XCRUN") == "missing":
        fail("cannot execute tool 'metal' due to missing Metal Toolchain; use: xcodebuild -downloadComponent MetalToolchain")
    (metal if arguments[2] == "metal" else metallib)(arguments[3:])


if __name__ == "__main__":
    main(sys.argv[1:])
