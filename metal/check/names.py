"""Are the kernels that plans ask for the kernels that there are?

    python metal/check/names.py              by the texts: every name (or stem of a name) in a plan has a kernel, every kernel is named
    python metal/check/names.py --used FILE  by a run: which kernels no launch has used. FILE is what the driver wrote during tests with
                                             MXFORM_METAL_NAMES=FILE in the environment

Kernels are the host_names in the sources after the preprocessor, that is what Apple's compiler instantiates.
"""

import argparse
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "metal" / "host"))

from translate import preprocess  # noqa: E402

# Kernels of sources that plans write themselves, compiled at run time: they are in no library.
WRITTEN_AT_RUN_TIME = {"fused_contiguous", "fused_strided", "fused_rows"}


def kernels(compiler="c++"):
    """Name of every kernel in the library -> the file that makes it. A name given twice is an error."""
    found = {}
    for path in sorted((ROOT / "metal" / "kernels").glob("*.metal")):
        text = preprocess(str(path), compiler, [str(ROOT / "metal" / "kernels"), str(ROOT / "csrc")], [])
        text = re.sub(r"^#.*$", "", text, flags=re.M)
        named = ["".join(re.findall(r'"([^"]*)"', pieces)) for pieces in re.findall(r'host_name\s*\(((?:\s*"[^"]*")+)\s*\)', text)]
        # A kernel that is no template has its own name.
        named += re.findall(r"^\s*(?:\[\[[^\]]*\]\]\s*)*(?:kernel|\[\[\s*kernel\s*\]\])(?:\s*\[\[[^\]]*\]\])*\s+void\s+(\w+)\s*\(", text, flags=re.M)
        templates = set(re.findall(r"template\s*<[^;{]*?>\s*(?:\[\[[^\]]*\]\]\s*)*void\s+(\w+)\s*\(", text))
        for name in named:
            if name in templates:
                continue
            if name in found:
                sys.exit(f"{path.name}: the kernel {name} is also in {found[name]}")
            found[name] = path.name
    return found


def texts():
    """Literals in the plans' sources, and those of them that are certainly a kernel's name or its stem."""
    all_texts, asked = set(), {}
    for path in sorted((ROOT / "csrc" / "backend" / "metal" / "plan").glob("*.[ch]*")):
        source = re.sub(r"//.*", "", path.read_text())
        all_texts.update(re.findall(r'"(\w+)"', source))
        for text in re.findall(r'(?:kernel_name|plan\.launch|plan_\.launch)\((?:cat\()?"(\w+)"', source):
            asked[text] = path.name
    return all_texts, asked


def is_stem(stem, name):
    return name == stem or name.startswith(stem if stem.endswith("_") else stem + "_")


def check_texts():
    have, (said, asked) = kernels(), texts()
    wrong = [f"{path}: asks for {stem}, which begins no kernel's name" for stem, path in sorted(asked.items())
             if stem not in WRITTEN_AT_RUN_TIME and not any(is_stem(stem, name) for name in have)]
    wrong += [f"{path}: no plan names the kernel {name}" for name, path in sorted(have.items()) if not any(is_stem(t, name) for t in said)]
    return wrong, len(have)


def check_used(file):
    have = kernels()
    used = set(pathlib.Path(file).read_text().split())
    return [f"{path}: no launch used {name}" for name, path in sorted(have.items()) if name not in used], len(have)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--used", metavar="FILE")
    options = parser.parse_args()
    wrong, n = check_used(options.used) if options.used else check_texts()
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{n} kernels, all of them in use")


if __name__ == "__main__":
    main()
