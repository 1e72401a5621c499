"""Every example in the README, on the pages in docs/, in the golden sessions and in docstrings gives what it says."""

import doctest
import re
from pathlib import Path

import pytest

import mxform as mx
import mxform.testing

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "tests" / "golden").glob("*.txt"))]


@pytest.fixture(autouse=True)
def in_a_scratch_folder(tmp_path, monkeypatch):
    """Examples may write files."""
    monkeypatch.chdir(tmp_path)


def run(text, name):
    # In Markdown, the end of a block ends the expected output.
    text = re.sub(r"^```.*$", "", text, flags=re.MULTILINE)
    test = doctest.DocTestParser().get_doctest(text, {"mx": mx}, name, name, 0)
    report = []
    runner = doctest.DocTestRunner()
    runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)
    return runner.tries


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_page_shows_what_happens(page):
    text = page.read_text()
    tries = run(text, page.name)
    assert tries > 0 or ">>>" not in text


def test_the_readme_has_its_tour():
    assert run((ROOT / "README.md").read_text(), "README.md") > 40


def documented():
    """Names and docstrings of all that is public."""
    found = {}
    spaces = {"mx": mx, "mx.testing": mxform.testing}
    for name in ("random", "fft", "linalg", "fast"):
        if hasattr(mx, name):
            spaces[f"mx.{name}"] = getattr(mx, name)
    for prefix, space in spaces.items():
        for name in getattr(space, "__all__", dir(space)) if prefix != "mx" else dir(space):
            value = getattr(space, name)
            if name.startswith("_") or type(value).__name__ == "module":
                continue
            found[f"{prefix}.{name}"] = value
            if isinstance(value, type):
                for member, method in vars(value).items():
                    if not member.startswith("_"):
                        found[f"{prefix}.{name}.{member}"] = method
    return {name: text for name, value in found.items() if isinstance(text := getattr(value, "__doc__", None), str) and ">>>" in text}


DOCS = documented()


@pytest.mark.parametrize("name", DOCS)
def test_a_docstring_shows_what_happens(name):
    before = mx.default_device(), mx.default_stream(mx.default_device())
    try:
        run(DOCS[name], name)
    finally:
        mx.set_default_device(before[0])
        mx.set_default_stream(before[1])
