"""Prints a rewritten source as C++: its body with #line directives, then a function and a record for each kernel."""
from translate_source import CONSTANT_TYPES
from translate_subset import waits
from translate_tokens import fail

HOST = "::mx::metal::host"


def _body(tokens):
    out, file, line = [], None, None
    for t in tokens:
        if t.file != file or t.line != line:
            if t.file == file and 0 < t.line - line <= 3:
                out.append("\n" * (t.line - line))
            else:
                out.append(f'\n#line {t.line} "{t.file}"\n')
            file, line = t.file, t.line
            out.append(t.space.split("\n")[-1])
        else:
            out.append(t.space if "\n" not in t.space else " ")
        out.append(t.text)
        if t.text and t.space == "" and out[-2:-1] == [""]:
            pass
    return "".join(out)


def _string(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _bool(value):
    return "true" if value else "false"


def _kernel(n, instance, source):
    """The code of one kernel, and its record."""
    kernel = source.kernels.get(instance.kernel)
    if kernel is None:
        fail(instance.token, f"{instance.kernel} is no kernel of this file")
    name = instance.expression
    call, arguments = [], []
    names = [c.name.split("::")[-1] for c in source.constants]
    for i, p in enumerate(kernel.parameters):
        if p.kind == "builtin":
            builtin = "threads_per_simdgroup" if p.builtin == "thread_execution_width" else p.builtin
            call.append(f"{HOST}::builtin::{builtin}(t)")
            continue
        how = "pointer" if p.pointer else "reference"
        call.append(f"{HOST}::{p.kind}_{how}({'t, ' if p.kind == 'buffer' else ''}{p.slot})")
        gate = "nullptr"
        if p.gate:
            if p.gate not in names:
                fail(kernel.token, f"{instance.kernel}: {p.gate} is no function constant")
            gate = f"&mx_constants[{names.index(p.gate)}]"
        what = f"{HOST}::Parameter<{HOST}::Signature<decltype({name})>::parameter<{i}>>"
        arguments.append(f"{{{HOST}::Argument::{p.kind}, {p.slot}, {_bool(not p.pointer)}, {what}::writable, {_bool(p.constant_space)}, "
                         f"{what}::size, {what}::alignment, \"{p.name}\", {gate}}}")
    reached = source.units.reach(kernel.words | (instance.words - {instance.kernel}))
    is_plain = not kernel.has_threadgroup and not waits(reached) and not any(p.kind == "threadgroup" for p in kernel.parameters)
    gates = {p.gate for p in kernel.parameters if p.gate}
    uses = [i for i, c in enumerate(source.constants) if not c.optional and (names[i] in reached or names[i] in gates)]
    text = []
    if is_plain:
        text.append(f"static void mx_loop{n}({HOST}::Thread& mx_t, const {HOST}::Span& mx_s) {{ "
                    f"{HOST}::loop(mx_t, mx_s, []({HOST}::Thread& t) {{ (void)t; {name}({', '.join(call)}); }}); }}\n")
    else:
        text.append(f"static void mx_call{n}({HOST}::Thread& t) {{ (void)t; {name}({', '.join(call)}); }}\n")
    if arguments:
        text.append(f"static const {HOST}::Argument mx_arguments{n}[] = {{{', '.join(arguments)}}};\n")
    if uses:
        text.append(f"static const ::uint16_t mx_uses{n}[] = {{{', '.join(map(str, uses))}}};\n")
    record = (f"{{{_string(instance.host_name)}, {_string(kernel.token.file)}, {kernel.token.line}, {kernel.max_threads}, "
              f"{f'mx_arguments{n}' if arguments else 'nullptr'}, {len(arguments)}, {f'mx_uses{n}' if uses else 'nullptr'}, {len(uses)}, "
              f"{_bool(is_plain)}, {'nullptr' if is_plain else f'&mx_call{n}'}, {f'&mx_loop{n}' if is_plain else 'nullptr'}, &mx_table}}")
    return "".join(text), record


def emit(source, stem, path):
    """The whole C++ file. Everything is in a namespace of its own: each .metal file is a module by itself."""
    out = ["// Made by metal/host/translate.py.\n#include <metal_stdlib>\n#include \"machine.h\"\n",
           f"namespace mx_kernels_{stem} {{ namespace {{\n", _body(source.body), f'\n#line 1 "{stem}.table"\n']
    if source.constants:
        rows = [f'{{"{c.name.split("::")[-1]}", {c.index}, {HOST}::ConstantType::{CONSTANT_TYPES[c.type]}, &{c.name}_mx_value, '
                f"&{c.name}_mx_defined}}" for c in source.constants]
        out.append(f"static const {HOST}::Constant mx_constants[] = {{{', '.join(rows)}}};\n")
    if source.derived:
        lines = [f"{path_}{name}_mx_value = {text};" for path_, name, text in source.derived]
        out.append(f"static void mx_derive() {{ {' '.join(lines)} }}\n")
    records = []
    out.append(f"extern const {HOST}::Table mx_table;\n")
    seen = {}
    for n, instance in enumerate(source.instances):
        if instance.host_name in seen:
            fail(instance.token, f"the name \"{instance.host_name}\" is taken (line {seen[instance.host_name]})")
        seen[instance.host_name] = instance.token.line
        text, record = _kernel(n, instance, source)
        out.append(text)
        records.append(record)
    if records:
        out.append(f"static const {HOST}::Kernel mx_all[] = {{{', '.join(records)}}};\n")
    out.append(f"const {HOST}::Table mx_table = {{{_string(path)}, {'mx_all' if records else 'nullptr'}, {len(records)}, "
               f"{'mx_constants' if source.constants else 'nullptr'}, {len(source.constants)}, {'&mx_derive' if source.derived else 'nullptr'}}};\n")
    out.append(f"}} }}\nextern \"C\" __attribute__((visibility(\"default\"))) const {HOST}::Table* mx_metal_table_{stem}() "
               f"{{ return &mx_kernels_{stem}::mx_table; }}\n")
    return "".join(out)


def index(stems):
    """The file that joins the tables of all sources that are linked."""
    out = ["// Made by metal/host/translate.py.\n#include \"kernels.h\"\n"]
    out += [f'extern "C" const {HOST}::Table* mx_metal_table_{s}();\n' for s in stems]
    out.append(f"namespace mx::metal::host {{\nconst Library& linked_library() {{\n  static const Library library({{{', '.join(f'mx_metal_table_{s}()' for s in stems)}}});\n"
               "  return library;\n}\n}\n")
    return "".join(out)
