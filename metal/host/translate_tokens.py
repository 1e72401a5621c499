"""Tokens of a preprocessed .metal file: each knows its file, its line and the white space in front of it."""
import re
from typing import NamedTuple


class Failure(Exception):
    """Something that the translator does not accept, as `file:line: error: what`."""


class Token(NamedTuple):
    text: str
    file: str
    line: int
    space: str


def fail(token, message):
    raise Failure(f"{token.file}:{token.line}: error: {message}")


_TOKEN = re.compile(
    r'\s+|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|[A-Za-z_]\w*|\.?\d(?:[eEpP][+-]|[\w.])*'
    r'|\[\[|\]\]|::|->\*?|\.\.\.|<<=|>>=|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|\+\+|--|.', re.S)
_MARKER = re.compile(r'# (\d+) "((?:\\.|[^"\\])*)"')


def tokens_of(text):
    """The tokens of what `g++ -E` printed. Directives that are left (#pragma) are dropped."""
    found, file, line, space = [], "?", 1, ""
    for row in text.split("\n"):
        marker = _MARKER.match(row)
        if marker:
            line, file = int(marker[1]), marker[2]
            continue
        if not row.lstrip().startswith("#"):
            for m in _TOKEN.finditer(row):
                if m[0].isspace():
                    space += m[0]
                else:
                    found.append(Token(m[0], file, line, space))
                    space = ""
        space = "\n"
        line += 1
    return _brackets(found)


def _brackets(tokens):
    # `]]` ends an attribute only where `[[` is open: a[b[i]] has two brackets.
    out, open_ = [], []
    for t in tokens:
        if t.text in ("[", "[["):
            open_.append(t.text)
        elif t.text == "]" and open_:
            open_.pop()
        elif t.text == "]]":
            if open_ and open_[-1] == "[[":
                open_.pop()
            else:
                del open_[-2:]
                out += [t._replace(text="]"), t._replace(text="]", space="")]
                continue
        out.append(t)
    return out


OPENING = {"(": ")", "[": "]", "{": "}", "[[": "]]"}
CLOSING = set(OPENING.values())


def closing(tokens, i):
    """Where the bracket at i is closed."""
    expected = []
    for j in range(i, len(tokens)):
        t = tokens[j].text
        if t in OPENING:
            expected.append(OPENING[t])
        elif expected and t == expected[-1]:
            expected.pop()
            if not expected:
                return j
    fail(tokens[i], f"{tokens[i].text} without its end")


def closing_angle(tokens, i):
    """Where the < at i is closed."""
    depth, j = 0, i
    while j < len(tokens):
        t = tokens[j].text
        if t in OPENING:
            j = closing(tokens, j)
        elif t == "<":
            depth += 1
        elif t == ">":
            depth -= 1
            if depth == 0:
                return j
        elif t in (";", "{"):
            break
        j += 1
    fail(tokens[i], "< without its end")


def split(tokens, separator=","):
    """The parts between commas that are in no bracket and in no template argument list."""
    parts, part, depth, angle = [], [], 0, 0
    for t in tokens:
        if t.text in OPENING:
            depth += 1
        elif t.text in CLOSING:
            depth -= 1
        elif t.text == "<":
            angle += 1
        elif t.text == ">":
            angle -= 1
        if t.text == separator and depth == 0 and angle <= 0:
            parts.append(part)
            part = []
        else:
            part.append(t)
    if part:
        parts.append(part)
    return parts


def plain(tokens):
    """As one line."""
    return " ".join(t.text for t in tokens)


def is_name(text):
    return bool(re.match(r"[A-Za-z_]\w*\Z", text))


def attributes(tokens):
    """{name: argument tokens or None} of all [[...]], and the tokens without them."""
    found, rest, i = {}, [], 0
    while i < len(tokens):
        if tokens[i].text == "[[":
            j = closing(tokens, i)
            for a in split(tokens[i + 1:j]):
                found[a[0].text] = a[2:-1] if len(a) > 1 else None
            i = j + 1
        else:
            rest.append(tokens[i])
            i += 1
    return found, rest
