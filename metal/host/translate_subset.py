"""What kernels may not say although a C++ compiler would take it, and what reaches what.

Works on tokens, so it knows patterns, not types: metal/check holds stricter checks that need clang.
"""
from translate_tokens import CLOSING, OPENING, closing, closing_angle, fail, is_name, split

SPACES = {"device", "constant", "threadgroup", "thread"}
WAITING = ("threadgroup_barrier", "simdgroup_", "simd_", "quad_")
_FORBIDDEN = {
    "throw": "exceptions", "try": "exceptions", "catch": "exceptions", "virtual": "virtual functions", "new": "new",
    "delete": "delete", "double": "double", "goto": "goto", "typeid": "run-time types", "dynamic_cast": "run-time types",
    "thread_local": "thread_local", "asm": "assembler", "union": "unions", "mutable": "mutable", "co_await": "coroutines",
    "atomic_ulong": "64-bit atomics", "atomic_long": "64-bit atomics", "printf": "printf", "malloc": "malloc",
}


def check_words(tokens):
    """Words and patterns that Metal does not have."""
    for i, t in enumerate(tokens):
        before, after = tokens[i - 1].text if i else "", tokens[i + 1].text if i + 1 < len(tokens) else ""
        if t.text in _FORBIDDEN and not (t.text == "delete" and before == "="):
            fail(t, f"there is no {_FORBIDDEN[t.text]} in Metal")
        if t.text == "std" and after == "::":
            fail(t, "std:: does not exist in Metal; use metal::")
        if t.text == "atomic" and after == "<" and tokens[i + 2].text in ("ulong", "long", "uint64_t", "int64_t"):
            fail(t, "there are no 64-bit atomics")
        if t.text == "[" and before in ("(", ",", "=", "return", "{", "&&", "||"):
            j = closing(tokens, i)
            if tokens[j + 1].text in ("(", "{") and before != "{":
                fail(t, "there are no lambdas in Metal")


def _indirect(tokens):
    """The first * or & that makes a pointer or a reference of a declaration's tokens; none inside of [] and <>."""
    depth = angle = 0
    for t in tokens:
        if t.text == "=":
            return None
        if t.text in ("[", "[["):
            depth += 1
        elif t.text in ("]", "]]"):
            depth -= 1
        elif t.text == "<":
            angle += 1
        elif t.text == ">":
            angle -= 1
        elif t.text in ("*", "&", "&&") and depth == 0 and angle == 0:
            return t
    return None


def check_parameters(name, tokens):
    """Pointers and references among a function's parameters name their address space."""
    for p in split(tokens):
        t = _indirect(p)
        if t and not SPACES & {x.text for x in p}:
            fail(t, f"{name}: {'pointer' if t.text == '*' else 'reference'} without an address space (device, threadgroup, constant or thread)")


def check_declaration(tokens, i):
    """The same for a local variable or member whose declaration starts at i: `T* p = `, `const T<A>& r;`."""
    j = i
    while tokens[j].text in ("const", "volatile", "static", "constexpr"):
        j += 1
    if not is_name(tokens[j].text) or tokens[j].text in ("return", "auto", "else", "case", "delete", "using", "typename", "operator") or tokens[j].text in SPACES:
        return
    while True:
        j += 1
        if tokens[j].text == "<":
            try:
                j = closing_angle(tokens, j) + 1
            except Exception:
                return
        if tokens[j].text != "::":
            break
        j += 1
    while tokens[j].text == "const":
        j += 1
    if tokens[j].text in ("*", "&") and is_name(tokens[j + 1].text) and tokens[j + 2].text in ("=", ";", "[", ","):
        word = "pointer" if tokens[j].text == "*" else "reference"
        fail(tokens[j], f"{tokens[j + 1].text}: {word} without an address space (device, threadgroup, constant or thread)")


class Units:
    """Functions, types and aliases by name, with the words that each mentions."""

    def __init__(self):
        self.words = {}     # name -> set of words, all of the same name together
        self.functions = {} # qualified name -> list of token lists (bodies)

    def add(self, name, tokens):
        self.words.setdefault(name, set()).update(t.text for t in tokens if is_name(t.text))

    def add_function(self, name, token, body):
        self.functions.setdefault(name, []).append((token, body))

    def reach(self, words):
        """All words that are reached from some."""
        seen, todo = set(), list(words)
        while todo:
            w = todo.pop()
            if w in seen:
                continue
            seen.add(w)
            todo += self.words.get(w, ())
        return seen

    def check_recursion(self):
        """Functions that call themselves, by any way. Overloads are told apart by nothing, so only names with one body count."""
        calls = {}
        for name, bodies in self.functions.items():
            if len(bodies) != 1:
                continue
            token, body = bodies[0]
            calls[name] = {body[i].text for i in range(len(body) - 1)
                           if body[i + 1].text == "(" and (i == 0 or body[i - 1].text not in (".", "->", "::"))}
        for name in calls:
            seen, todo = set(), [c for c in calls[name] if c in calls]
            while todo:
                c = todo.pop()
                if c == name:
                    fail(self.functions[name][0][0], f"{name} calls itself: there is no recursion in Metal")
                if c not in seen:
                    seen.add(c)
                    todo += [d for d in calls[c] if d in calls]


def waits(words):
    """Do threads that say these words wait for others or share memory?"""
    return any(w.startswith(WAITING) for w in words)


__all__ = ["SPACES", "Units", "check_declaration", "check_parameters", "check_words", "waits", "CLOSING", "OPENING"]
