"""Is every kernel source within the subset of Metal that docs/metal.md writes down? A host's compiler would take more.

    python metal/check/lint.py           all of metal/kernels, with what it includes of csrc/scalar and csrc/ops
    python metal/check/lint.py --prove   the same faults, planted one by one in a kernel, must all be found

The translator (metal/host) refuses words that Metal lacks, recursion, and pointers without an address space; it is run here over all
sources. Added are lists of what may be said: attributes, includes, variables outside of functions, and Metal's limits of arguments.
"""

import argparse
import pathlib
import re
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
KERNELS = ROOT / "metal" / "kernels"
sys.path.insert(0, str(ROOT / "metal" / "host"))

from translate import preprocess, translate  # noqa: E402
from translate_tokens import Failure  # noqa: E402

ATTRIBUTES = {
    "kernel", "host_name", "function_constant", "max_total_threads_per_threadgroup", "buffer", "threadgroup", "thread_position_in_grid",
    "thread_position_in_threadgroup", "thread_index_in_threadgroup", "threadgroup_position_in_grid", "threads_per_grid",
    "threads_per_threadgroup", "threadgroups_per_grid", "thread_index_in_simdgroup", "simdgroup_index_in_threadgroup",
    "simdgroups_per_threadgroup",
}
INCLUDES = re.compile(r'<metal_\w+>|"(\w+\.h|scalar/\w+\.h|ops/\w+\.(def|h)|compile/\w+\.(def|h))"')
BUFFERS, THREADGROUP_BYTES = 31, 32 << 10
FORBIDDEN = {
    r"\b(u?int64_t|u?int32_t|size_t)\s*\(\s*\*": "pointers to functions do not exist in Metal",
    r"\bdouble\b": "there is no double in Metal",
    r"\bstd\s*::": "std:: does not exist in Metal",
    r"\b(virtual|throw|try|catch|new|typeid|dynamic_cast|thread_local|goto|asm)\b": "Metal does not have this word",
    r"\batomic\s*<\s*(u?long|double|u?int64_t)\s*>|\batomic_u?long\b": "there are no atomics of 64 bits",
    r"\b(printf|malloc|free|abort|exit|assert)\s*\(": "there is no C library in Metal",
    r"\blong\s+long\b": "there is no long long in Metal",
    r"\blong\s+double\b": "there is no double in Metal",
}


def own_lines(text):
    """(file, line number, line) of preprocessed text, without those of the stand-ins for Metal's headers."""
    file, number = "?", 0
    for line in text.splitlines():
        marker = re.match(r'#\s+(\d+)\s+"([^"]*)"', line)
        if marker:
            file, number = marker.group(2), int(marker.group(1))
            continue
        if not line.startswith("#") and file.startswith(str(ROOT)) or file.startswith(tempfile.gettempdir()):
            yield file, number, line
        number += 1


def at_namespace_scope(code):
    """Declarations outside of functions and types, of one text without comments: (position, text)."""
    depth, start, kinds = 0, 0, []
    for match in re.finditer(r"[{};]", code):
        c = match.group()
        if c == "{":
            head = code[start : match.start()]
            space = bool(re.search(r"\bnamespace\b[^;{}()]*$|extern\s*$", head)) and depth == len([k for k in kinds if k])
            kinds.append(space)
            depth += 1
            if space:
                start = match.end()
        elif c == "}":
            if kinds:
                kinds.pop()
            depth -= 1
            if all(kinds):
                after = code[match.end() : match.end() + 1]
                # The end of a function or namespace; that of a type or table goes on to its semicolon.
                if after != ";" and not re.match(r"\s*(struct|class|union|enum|.*=\s*)", code[start : match.start()], re.S) or not code[start : match.start()].strip():
                    start = match.end()
        elif all(kinds):
            yield start, code[start : match.start()].strip()
            start = match.end()


def check_text(path, text):
    """Sentences about one source after the preprocessor."""
    wrong, lines = [], list(own_lines(text))
    for file, number, line in lines:
        where = f"{pathlib.Path(file).name}:{number}"
        code = re.sub(r'"[^"]*"', '""', line)
        for pattern, why in FORBIDDEN.items():
            if re.search(pattern, code):
                wrong.append(f"{where}: {why}: {line.strip()}")
        for attributes in re.findall(r"\[\[(.*?)\]\]", code):
            for name in re.findall(r"(\w+)\s*(?:\([^)]*\))?\s*(?:,|$)", attributes):
                if name not in ATTRIBUTES:
                    wrong.append(f"{where}: the attribute {name} is not in the list of lint.py")
        for slot in re.findall(r"\[\[\s*buffer\s*\(\s*(\d+)\s*\)", code):
            if int(slot) >= BUFFERS:
                wrong.append(f"{where}: buffer({slot}): there are {BUFFERS} of them, from 0")
    code = "\n".join(line for _, _, line in lines)
    for at, declaration in at_namespace_scope(code):
        plain = re.sub(r"\[\[.*?\]\]", "", declaration, flags=re.S).strip()
        if not plain or re.match(r"(using|typedef|template|struct|class|enum|static_assert|inline|namespace|constexpr|friend|extern)\b", plain):
            if not re.match(r"constexpr\s+(?!constant\b)[^()]*$", plain) and not re.match(r"inline\s+[^()]*=", plain):
                continue
        if plain.startswith("constant ") or plain.startswith("constexpr constant ") or "(" in plain:
            continue
        where = lines[code.count("\n", 0, at)]
        wrong.append(f"{pathlib.Path(where[0]).name}:{where[1]}: a variable outside of functions is not `constant`: {plain[:80]}")
    return wrong


def check_includes(path):
    return [f"{path.name}:{number}: includes {match.group(1)}, which Metal's compiler does not find or has no use for"
            for number, line in enumerate(path.read_text().splitlines(), 1) if (match := re.match(r'\s*#\s*include\s+([<"].*[>"])', line))
            and not INCLUDES.fullmatch(match.group(1))]


def check_file(path, compiler):
    include = [str(KERNELS), str(ROOT / "csrc")]
    wrong = check_includes(path)
    try:
        translate(str(path), compiler, include)
    except Failure as failure:
        wrong.append(str(failure))
    try:
        return wrong + check_text(path, preprocess(str(path), compiler, include, []))
    except Failure as failure:
        return wrong + [str(failure)]


def check_all(compiler):
    wrong = []
    for path in sorted(KERNELS.glob("*.h")):
        wrong += check_includes(path)
    for path in sorted(KERNELS.glob("*.metal")):
        wrong += check_file(path, compiler)
    return list(dict.fromkeys(wrong))


GOOD = """
#include "common.h"
constant bool flag [[function_constant(0)]];
constant float table[2] = {1, 2};
struct Args { int n; };
inline float half_of(float x) { return x / 2; }
FAULT
[[kernel]] void planted(device const float* a [[buffer(0)]], device float* out [[buffer(1)]], constant Args& p [[buffer(2)]],
                        uint at [[thread_position_in_grid]]) {
  float x = flag ? a[at] : table[0];
  INSIDE
  if (int(at) < p.n) out[at] = half_of(x);
}
"""
PLANTED = [
    # outside of functions, inside of the kernel
    ("float state = 0;", ""),
    ("static const int size = 4;", ""),
    ("#include <cmath>", ""),
    ("#include <metal_stdlib>\n#include \"graph/array.h\"", ""),
    ("inline float first(const float* p) { return p[0]; }", ""),
    ("inline void set(float& x) { x = 1; }", ""),
    ("inline int down(int n) { return n ? down(n - 1) : 0; }", ""),
    ("struct Base { virtual int f(); };", ""),
    ("[[gnu::noinline]] inline float g(float x) { return x; }", ""),
    ("[[kernel]] void many(device float* a [[buffer(31)]]) { a[0] = 0; }", ""),
    ("", "double y = x;"),
    ("", "x = std::exp(x);"),
    ("", "auto f = [&](float y) { return y; };"),
    ("", "throw 1;"),
    ("", "float* p = new float[2];"),
    ("", "goto end; end:;"),
    ("", "float* p = &x; p[0] = 1;"),
    ("", "device atomic_ulong* c = (device atomic_ulong*)out;"),
    ("", "device atomic<ulong>* c = (device atomic<ulong>*)out;"),
    ("", "long long n = 1; x += n;"),
    ("", "assert(x > 0);"),
]


def prove(compiler):
    """Which of the planted faults were not found."""
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "planted.metal"

        def found(outside, inside):
            path.write_text(GOOD.replace("FAULT", outside).replace("INSIDE", inside))
            return check_file(path, compiler)

        if found("", ""):
            missed.append(f"the kernel without a fault is refused: {found('', '')}")
        missed += [f"not found: {outside}{inside}" for outside, inside in PLANTED if not found(outside, inside)]
    return missed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prove", action="store_true")
    parser.add_argument("--compiler", default="c++", help="whose preprocessor to use")
    options = parser.parse_args()
    wrong = prove(options.compiler) if options.prove else check_all(options.compiler)
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{len(PLANTED)} planted faults found" if options.prove else f"{len(list(KERNELS.glob('*.metal')))} kernel files are within the subset")


if __name__ == "__main__":
    main()
