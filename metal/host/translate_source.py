"""Rewrites the tokens of a .metal file to C++ and notes kernels, instantiations and function constants on the way.

Address spaces vanish (`constant` becomes const), threadgroup variables become references to memory of the machine, function
constants become variables that a dispatch sets, attributes go.
"""
import re
from dataclasses import dataclass, field

from translate_subset import SPACES, Units, check_declaration, check_parameters, check_words
from translate_tokens import Token, attributes, closing, closing_angle, fail, is_name, plain, split

BUILTINS = {
    "thread_position_in_grid", "thread_position_in_threadgroup", "threadgroup_position_in_grid", "threads_per_grid",
    "threads_per_threadgroup", "dispatch_threads_per_threadgroup", "threadgroups_per_grid", "thread_index_in_threadgroup",
    "thread_index_in_simdgroup", "simdgroup_index_in_threadgroup", "threads_per_simdgroup", "simdgroups_per_threadgroup",
    "dispatch_simdgroups_per_threadgroup", "thread_execution_width", "thread_index_in_quadgroup", "quadgroup_index_in_threadgroup",
}
CONSTANT_TYPES = {"bool": "boolean", "char": "int8", "uchar": "uint8", "int8_t": "int8", "uint8_t": "uint8", "short": "int16", "ushort": "uint16",
                  "int16_t": "int16", "uint16_t": "uint16", "int": "int32", "uint": "uint32", "int32_t": "int32", "uint32_t": "uint32",
                  "half": "float16", "float": "float32"}
_NUMBER = re.compile(r"((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(h|H|bf|BF)\Z")


@dataclass
class Parameter:
    kind: str            # buffer, threadgroup, builtin
    slot: int
    name: str
    pointer: bool
    constant_space: bool
    gate: str
    builtin: str = ""


@dataclass
class KernelDefinition:
    token: Token
    parameters: list
    max_threads: int
    is_template: bool
    words: set = field(default_factory=set)
    has_threadgroup: bool = False


@dataclass
class Instance:
    host_name: str
    expression: str      # func<float, 4>, with its namespaces
    kernel: str
    words: set
    token: Token


@dataclass
class FunctionConstant:
    name: str            # with its namespaces
    index: int
    type: str
    optional: bool = False


class Source:
    """The result: `body` tokens and what was found."""

    def __init__(self, tokens):
        self.tokens = tokens
        self.body = []
        self.kernels = {}
        self.instances = []
        self.constants = []
        self.derived = []        # (qualified name, text of the expression)
        self.units = Units()
        self._varying = set()    # names of function constants and of what is derived from them
        self._scopes = []        # of each open brace: namespace NAME, type, function, block
        self._kernel = None      # whose body we are in
        self._variables = 0
        self._definition_start = 0
        check_words(tokens)
        self._run()
        self.units.check_recursion()

    # ---- helpers

    def _emit(self, text, at):
        self.body.append(Token(text, at.file, at.line, at.space))

    def _path(self):
        names = [s.split()[1] for s in self._scopes if s.startswith("namespace ")]
        return "".join(n + "::" for n in names)

    def _outside(self):
        return all(s.startswith("namespace") for s in self._scopes)

    def _at_statement(self, i):
        return i == 0 or self.tokens[i - 1].text in (";", "{", "}", ":", ")") or self.tokens[i - 1].text == "else"

    # ---- the walk

    def _run(self):
        i = 0
        while i < len(self.tokens):
            i = self._step(i)

    def _step(self, i):
        toks, t = self.tokens, self.tokens[i]
        following = toks[i + 1].text if i + 1 < len(toks) else ""
        if t.text == "template" and following == "[[":
            return self._instantiation(i)
        if t.text in ("[[", "kernel") and self._outside():
            j = self._kernel_head(i)
            if j:
                return j
        if t.text == "[[":
            return closing(toks, i) + 1
        if t.text == "constant":
            return self._constant(i)
        if t.text == "threadgroup" and self._at_statement(i) and not self._outside():
            j = self._threadgroup(i)
            if j:
                return j
        if t.text in SPACES:
            if self.body and "\n" in t.space and i + 1 < len(toks):
                toks[i + 1] = toks[i + 1]._replace(space=t.space)
            return i + 1
        if t.text == "is_function_constant_defined" and following == "(":
            j = closing(toks, i + 1)
            name = plain(toks[i + 2:j])
            for c in self.constants:
                if c.name.split("::")[-1] == name.split("::")[-1].strip():
                    c.optional = True
            self._emit(f"({name.replace(' ', '')}_mx_defined)", t)
            return j + 1
        if t.text == "{":
            self._open(i)
        elif t.text == "}":
            if self._scopes:
                closed = self._scopes.pop()
                if closed == "function":
                    self._kernel = None
        elif t.text == "using" and is_name(following) and toks[i + 2].text == "=":
            j = i
            while toks[j].text != ";":
                j += 1
            self.units.add(following, toks[i + 3:j])
        elif t.text == "#":
            fail(t, "directive inside of a line")
        elif t.text == "(" and not any(s in ("function", "block") for s in self._scopes):
            self._function_head(i)
        number = _NUMBER.match(t.text)
        if number and not t.text.startswith("0x"):
            digits = number[1] if re.search(r"[.eE]", number[1]) else number[1] + ".0"
            self._emit(f"{'bfloat' if number[2].lower() == 'bf' else 'half'}({digits}f)", t)
            return i + 1
        if self._scopes and is_name(t.text) and self._at_statement(i) and (i == 0 or toks[i - 1].text not in (")", ":")):
            check_declaration(toks, i)
        self.body.append(t)
        return i + 1

    def _open(self, i):
        """What kind of brace is at i, by what is in front of it."""
        toks, j = self.tokens, i - 1
        if any(s in ("function", "block") for s in self._scopes):
            self._scopes.append("block")
            return
        head = []
        while j >= 0 and toks[j].text not in (";", "{", "}"):
            head.append(toks[j])
            j -= 1
        head.reverse()
        words = [h.text for h in head]
        if "namespace" in words:
            self._scopes.append("namespace " + ("::".join(w for w in words[words.index("namespace") + 1:] if is_name(w)) or "mx_unnamed"))
            return
        if words and words[0] == "template" and len(words) > 1 and words[1] == "<":
            head = head[closing_angle(head, 1) + 1:]
            words = [h.text for h in head]
        for kind in ("struct", "class", "enum"):
            if kind in words and "(" not in words:
                names = [w for w in words[words.index(kind) + 1:] if is_name(w) and w not in ("class", "struct", "final", "alignas")]
                if names:
                    self.units.add(names[0], head + toks[i:closing(toks, i) + 1])
                self._scopes.append("type")
                return
        self._scopes.append("function" if "(" in words else "block")

    def _function_head(self, i):
        """A parameter list at i outside of functions: checks it, and notes the body."""
        toks = self.tokens
        name = toks[i - 1].text if i else ""
        j = closing(toks, i)
        k = j + 1
        while toks[k].text in ("const", "thread", "device", "threadgroup", "constant", "noexcept"):
            k += 1
        if toks[i - 1].text == ")" and toks[i - 2].text == "(":
            name = "operator()"
        if not (is_name(name) or name == "operator()" or "operator" in (toks[max(i - 2, 0)].text, toks[max(i - 3, 0)].text)):
            return
        if name in ("decltype", "alignas", "sizeof", "static_assert", "defined", "if", "while", "for", "switch"):
            return
        is_body = toks[k].text == "{" or toks[k].text == ":"
        if not is_body and not (toks[k].text == ";" and i > 1 and (is_name(toks[i - 2].text) or toks[i - 2].text in ("*", "&", ">"))):
            return
        check_parameters(name, toks[i + 1:j])
        if toks[k].text != "{":
            return
        end = closing(toks, k)
        start = i
        while start > 0 and toks[start - 1].text not in (";", "{", "}"):
            start -= 1
        head = [x for x in toks[start:i - 1]]
        if "type" not in self._scopes and is_name(name):
            self.units.add(name, toks[start:i - 1] + toks[i:end + 1])
            self.units.add_function(name, toks[i - 1], toks[k:end + 1])
        result = head[closing_angle(head, 1) + 1:] if len(head) > 1 and head[0].text == "template" and head[1].text == "<" else head
        if any(x.text in ("*", "&") for x in result if x.text != "operator") and "operator" not in [x.text for x in result]:
            if not SPACES & {x.text for x in result}:
                fail(toks[i - 1], f"{name} returns a pointer or reference without an address space")

    # ---- what Metal has and C++ has not

    def _instantiation(self, i):
        """template [[host_name("name")]] [[kernel]] decltype(E) E;"""
        toks, t, j = self.tokens, self.tokens[i], i + 1
        found = {}
        while toks[j].text == "[[":
            k = closing(toks, j)
            found.update(attributes(toks[j:k + 1])[0])
            j = k + 1
        if "host_name" not in found or "kernel" not in found or toks[j].text != "decltype":
            fail(t, "an instantiation is template [[host_name(\"name\")]] [[kernel]] decltype(E) E;")
        k = closing(toks, j + 1)
        end = k + 1
        while toks[end].text != ";":
            end += 1
        expression = toks[j + 2:k]
        if plain(expression) != plain(toks[k + 1:end]):
            fail(t, f"decltype({plain(expression)}) and {plain(toks[k + 1:end])} differ")
        self._add_instance(found["host_name"], expression, t)
        return end + 1

    def _add_instance(self, host_name, expression, t):
        text = "".join(x.text[1:-1] for x in host_name)
        names = [x.text for x in expression]
        kernel = names[names.index("<") - 1] if "<" in names else names[-1]
        self.instances.append(Instance(text, self._path() + plain(expression), kernel, {n for n in names if is_name(n)}, t))

    def _constant(self, i):
        """constant T name [[function_constant(n)]]; or constant T name = ...; or a qualifier."""
        toks, t = self.tokens, self.tokens[i]
        j = i
        while toks[j].text not in (";", "{", "(", "=", "[[", ",", ")"):
            j += 1
        if self._outside() and toks[j].text == "[[" and toks[j + 1].text == "function_constant":
            k = closing(toks, j)
            index = attributes(toks[j:k + 1])[0]["function_constant"]
            if toks[k + 1].text != ";":
                fail(t, "a function constant is constant T name [[function_constant(n)]];")
            name, type_ = toks[j - 1].text, plain([x for x in toks[i + 1:j - 1] if x.text != "const"])
            if type_ not in CONSTANT_TYPES:
                fail(t, f"{name}: function constants are scalars of at most 32 bits, not {type_}")
            try:
                number = int(plain(index), 0)
            except ValueError:
                fail(t, f"{name}: the index {plain(index)} is no number")
            if any(c.index == number for c in self.constants):
                fail(t, f"{name}: function constant {number} exists twice")
            self.constants.append(FunctionConstant(self._path() + name, number, type_))
            self._varying.add(name)
            self._emit(f"static {type_} {name}_mx_value; static bool {name}_mx_defined; static constexpr const {type_}& {name} = {name}_mx_value;", t)
            return k + 2
        if self._outside() and toks[j].text == "=" and toks[i + 1].text != "*":
            end = j
            while toks[end].text != ";":
                end = closing(toks, end) + 1 if toks[end].text in ("(", "{", "[") else end + 1
            value = toks[j + 1:end]
            if self._varying & {x.text for x in value}:
                name, type_ = toks[j - 1].text, plain([x for x in toks[i + 1:j - 1] if x.text != "const"])
                text = re.sub(r"is_function_constant_defined \( (.*?) \)", r"(\1_mx_defined)", plain(value))
                for defined in re.findall(r"\((\w+)_mx_defined\)", text):
                    for c in self.constants:
                        c.optional |= c.name.split("::")[-1] == defined
                self.units.add(name, value)
                self.derived.append((self._path(), name, text))
                self._varying.add(name)
                self._emit(f"static {type_} {name}_mx_value; static constexpr const {type_}& {name} = {name}_mx_value;", t)
                return end + 1
        if not (toks[i + 1].text == "const" or (self.body and self.body[-1].text in ("const", "constexpr") and False)) and not (
                i and toks[i - 1].text == "const"):
            self._emit("const", t)
        return i + 1

    def _threadgroup(self, i):
        """threadgroup T a[N][M], b; in a kernel's outermost block. None if it is a qualifier of a pointer."""
        toks, t, j = self.tokens, self.tokens[i], i + 1
        while toks[j].text not in (";", "{", "(", "=", "[", "*", "&", ")"):
            j = closing_angle(toks, j) + 1 if toks[j].text == "<" else j + 1
            if toks[j].text == ",":
                break
        if toks[j].text == "=":
            fail(t, "threadgroup variables cannot be initialised")
        if toks[j].text not in ("[", ";", ","):
            return None
        if self._kernel is None or self._scopes.count("block"):
            fail(t, "threadgroup variables are declared in the outermost block of a kernel")
        end = j
        while toks[end].text != ";":
            end += 1
        declarators = split(toks[j - 1:end])
        type_ = plain([x for x in toks[i + 1:j - 1] if x.text not in ("const", "volatile")])
        for d in declarators:
            if any(x.text == "=" for x in d):
                fail(t, "threadgroup variables cannot be initialised")
            n = self._variables
            self._variables += 1
            self._emit(f"using mx_shared{n} = {type_}{plain(d[1:])}; mx_shared{n}& {d[0].text} = *static_cast<mx_shared{n}*>("
                       f"::mx::metal::host::threadgroup_variable({n}, sizeof(mx_shared{n}), alignof(mx_shared{n})));", t)
        self._kernel.has_threadgroup = True
        return end + 1

    def _kernel_head(self, i):
        """[[kernel]] void name(parameters) {, with more attributes around. None if it is no kernel."""
        toks, t, j, found = self.tokens, self.tokens[i], i, {}
        while toks[j].text == "[[" or toks[j].text == "kernel":
            if toks[j].text == "kernel":
                found["kernel"] = None
                j += 1
            else:
                k = closing(toks, j)
                found.update(attributes(toks[j:k + 1])[0])
                j = k + 1
        if "kernel" not in found:
            return None
        if toks[j].text != "void":
            fail(t, "a kernel returns void")
        name = toks[j + 1].text
        k = closing(toks, j + 2)
        if toks[k + 1].text != "{":
            fail(t, f"{name}: a kernel is defined where it is declared")
        start = i
        while start > 0 and toks[start - 1].text not in (";", "{", "}"):
            start -= 1
        end = closing(toks, k + 1)
        max_threads = found.get("max_total_threads_per_threadgroup")
        if name in self.kernels:
            fail(t, f"there are two kernels {name}")
        kernel = KernelDefinition(toks[j + 1], self._parameters(name, toks[j + 3:k]), int(plain(max_threads)) if max_threads else 1024,
                                  start != i and toks[start].text == "template")
        kernel.words = {x.text for x in toks[start:end + 1] if is_name(x.text)} - {name}
        self.kernels[name] = kernel
        self._kernel, self._variables = kernel, 0
        self.units.add_function(name, toks[j + 1], toks[k + 1:end + 1])
        if not kernel.is_template:
            host_name = found.get("host_name") or [Token(f'"{name}"', t.file, t.line, "")]
            self._add_instance(host_name, [toks[j + 1]], t)
        # The rest goes the usual way, without the attributes of parameters; the body's brace opens a function.
        parameters = attributes(toks[j + 3:k])[1]
        self._emit("static" if not kernel.is_template else "", t)
        self.body += toks[j:j + 3]
        for p, x in enumerate(parameters):
            if x.text == "constant":
                near = {parameters[p - 1].text if p else "", parameters[p + 1].text}
                if "const" not in near:
                    self._emit("const", x)
            elif x.text not in SPACES:
                self.body.append(x)
        self.body += toks[k:k + 2]
        self._scopes.append("function")
        return k + 2

    def _parameters(self, kernel, tokens):
        result = []
        for p in split(tokens):
            found, rest = attributes(p)
            words = [x.text for x in rest]
            if len(words) < 2:
                fail(p[0], f"{kernel}: a parameter needs a type and a name")
            name, pointer, reference = words[-1], words[-2] == "*", words[-2] == "&"
            gate = plain(found["function_constant"]) if "function_constant" in found else ""
            if "buffer" in found:
                if not pointer and not reference:
                    fail(rest[0], f"{kernel}: [[buffer]] argument {name} is neither pointer nor reference")
                if not {"device", "constant"} & set(words):
                    fail(rest[0], f"{kernel}: [[buffer]] argument {name} has neither device nor constant address space")
                slot = int(plain(found["buffer"]))
                if slot > 30:
                    fail(rest[0], f"{kernel}: buffer({slot}); the last slot is 30")
                result.append(Parameter("buffer", slot, name, pointer, "constant" in words, gate))
            elif "threadgroup" in found:
                if "threadgroup" not in words or not (pointer or reference):
                    fail(rest[0], f"{kernel}: [[threadgroup]] argument {name} is no threadgroup pointer")
                result.append(Parameter("threadgroup", int(plain(found["threadgroup"])), name, pointer, False, gate))
            else:
                known = BUILTINS & set(found)
                if len(known) != 1:
                    fail(rest[0], f"{kernel}: parameter {name} has no attribute that says what it is")
                if pointer or reference:
                    fail(rest[0], f"{kernel}: {name} must be passed by value")
                result.append(Parameter("builtin", 0, name, False, False, gate, known.pop()))
        for kind in ("buffer", "threadgroup"):
            slots = [r.slot for r in result if r.kind == kind]
            for s in slots:
                if slots.count(s) > 1:
                    fail(tokens[0], f"{kernel}: {kind}({s}) is used twice")
        return result
