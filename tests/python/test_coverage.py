"""The coverage page is what the records of the primitives say."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_coverage_page_is_current():
    spec = importlib.util.spec_from_file_location("make_coverage", ROOT / "python" / "make_coverage.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text() == module.page(), "run python python/make_coverage.py"
