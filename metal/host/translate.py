#!/usr/bin/env python3
"""Translates a .metal file to C++ for the host's machine: `translate.py reduce.metal -o reduce.cpp -I metal/kernels -I csrc`.

The preprocessor sees blank <metal_*> headers; translate_source.py rewrites what C++ lacks; translate_emit.py adds the table of
kernels. #line directives keep the lines of the .metal file. What is outside of the subset is an error with file and line.
"""
import argparse
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from translate_emit import emit, index  # noqa: E402
from translate_source import Source  # noqa: E402
from translate_tokens import Failure, tokens_of  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))


def preprocess(path, compiler, include, define, dependencies=None):
    """The text with macros expanded as Metal's preprocessor would."""
    command = [compiler, "-E", "-x", "c++", "-std=c++17", "-undef", "-nostdinc", "-nostdinc++", "-DMX_TRANSLATING", "-D__METAL__",
               "-D__METAL_VERSION__=310", "-I" + os.path.join(HERE, "include")]
    command += ["-I" + i for i in include] + ["-D" + d for d in define]
    if dependencies:
        command += ["-MD", "-MF", dependencies[0], "-MT", dependencies[1]]
    done = subprocess.run(command + [path], capture_output=True, text=True)
    if done.returncode:
        raise Failure(done.stderr.strip())
    return done.stdout


def translate(path, compiler="c++", include=(), define=(), stem=None, dependencies=None, name=None):
    """The C++ text for the .metal file at `path`, which messages call `name`."""
    text = preprocess(path, compiler, include, define, dependencies)
    if name:
        text = text.replace(f'"{path}"', f'"{name}"')
    source = Source(tokens_of(text))
    return emit(source, stem or re.sub(r"\W", "_", os.path.splitext(os.path.basename(path))[0]), name or os.path.abspath(path))


def write(path, text):
    """Leaves a file alone that would not change."""
    if os.path.exists(path):
        with open(path) as f:
            if f.read() == text:
                os.utime(path)
                return
    with open(path, "w") as f:
        f.write(text)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("sources", nargs="*")
    p.add_argument("-o", required=True, help="the file to write")
    p.add_argument("--index", action="store_true", help="write the list of all sources' tables instead")
    p.add_argument("--stem", help="name of the table; by default that of the file")
    p.add_argument("--name", help="what to call the source in messages; by default its path")
    p.add_argument("--compiler", default="c++", help="whose preprocessor to use")
    p.add_argument("--dependencies", help="file for make's rules of what was included")
    p.add_argument("-I", action="append", default=[], dest="include")
    p.add_argument("-D", action="append", default=[], dest="define")
    a = p.parse_args()
    try:
        if a.index:
            write(a.o, index([re.sub(r"\W", "_", os.path.splitext(os.path.basename(s))[0]) for s in a.sources]))
        else:
            write(a.o, translate(a.sources[0], a.compiler, a.include, a.define, a.stem, a.dependencies and (a.dependencies, a.o), a.name))
    except Failure as e:
        sys.exit(str(e))


if __name__ == "__main__":
    main()
