"""The benchmark runs, its rows are well formed, and its tables and figures say what the samples say. No test of times."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bench import report
from bench.rows import PEERS, all_rows, select
from bench.samples import Table, difference


def bench(*args, program=("-m", "bench")):
    command = [sys.executable, *program, "--peers", "mxform", "--rounds", "1", "--seconds", "0.001", "--quiet", *args]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=dict(os.environ), timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("program", [("-m", "bench"), ("bench/run.py",)])
def test_two_rows_of_mxform_alone(program, tmp_path):
    path = tmp_path / "result.json"
    table = bench("--rows", "1,9a", "--json", str(path), "--out", str(tmp_path / "table.md"), program=program)
    assert "| 1 result of a + b, 4 elements |" in table
    assert (tmp_path / "table.md").read_text() == table
    result = json.loads(path.read_text())
    assert set(result) == {"machine", "versions", "rows"}
    assert set(result["versions"]) == {"mxform"}
    assert {"cpu", "cpus", "copy_bytes_per_second", "flops_per_second"} <= set(result["machine"])
    assert [row["row"] for row in result["rows"]] == ["1", "9a"]
    for row in result["rows"]:
        assert {"median", "min", "samples", "quiet", "disturbed"} == set(row["peers"]["mxform"])
        assert not row["errors"]


# The cheap rows; the others take seconds or much memory, and the benchmark itself compares their results.
CHEAP = "2,4a,7a,8,9a,10,16c,18b,19,20,21,25,32a"


def test_cheap_rows_run_and_agree_with_numpy_where_it_has_them(tmp_path):
    path = tmp_path / "result.json"
    bench("--rows", CHEAP, "--json", str(path), "--peers", "mxform,numpy")
    rows = json.loads(path.read_text())["rows"]
    assert len(rows) == len(select(CHEAP))
    assert not [(row["row"], row["errors"]) for row in rows if row["errors"]]


def test_every_row_is_well_formed():
    rows = all_rows()
    assert len({row.number for row in rows}) == len(rows)
    numbers = {int(row.number.rstrip("abcdefgh")) for row in rows}
    assert numbers == set(range(1, len(numbers) + 1))
    for row in rows:
        assert set(row.skip) | set(row.not_counted) <= set(PEERS)
        assert row.kind != "time" or row.program("mxform"), row.title


def test_select_knows_numbers_and_titles():
    assert [row.number for row in select("4")] == ["4a", "4b"]
    assert [row.number for row in select("4b, 9a")] == ["4b", "9a"]
    assert all("matmul" in row.name for row in select("*matmul*"))
    assert select("no such row") == []


def sampled(seconds, quiet=True, n=3):
    return [{"seconds": seconds, "best": 0.9 * seconds, "quiet": quiet, "others": 0.0} for _ in range(n)]


def table_of(samples, number="4a"):
    table = Table(select(number), {peer: "1" for peer in samples})
    for peer, found in samples.items():
        table.samples[number][peer] = found
    return table.result()


def test_ratio_is_of_medians_of_quiet_samples():
    mine = sampled(1.0) + sampled(50.0, quiet=False)
    row = table_of({"mxform": mine, "jax": sampled(3.0), "numpy": sampled(4.0)})["rows"][0]
    assert (row["best_peer"], row["by"], row["pass"]) == ("jax", "median", True)
    assert row["ratio"] == pytest.approx(3.0)
    assert row["peers"]["mxform"]["quiet"] == 0.5


def test_ratio_is_of_minima_where_too_few_samples_are_quiet():
    row = table_of({"mxform": sampled(1.0, quiet=False), "jax": sampled(0.5)})["rows"][0]
    assert (row["by"], row["pass"]) == ("min", False)
    assert row["ratio"] == pytest.approx(0.5)
    assert "~900 ms" in report.markdown({"machine": {}, "versions": {"mxform": "1", "jax": "1"}, "rows": [row]})


def test_peers_that_do_not_count_set_no_bar():
    row = table_of({"mxform": sampled(1.0), "torch": sampled(3.0), "numpy": sampled(0.1)}, "1")["rows"][0]
    assert row["best_peer"] == "torch" and row["ratio"] == pytest.approx(3.0)


def test_difference_is_relative_to_the_largest_magnitude():
    assert difference([[3.0, 1.0, 100.0, 7.0]], [[3.0, 1.0, 101.0, 7.0]]) == pytest.approx(0.01, rel=0.02)
    assert difference([[1.0, 2.0]], [[1.0, 2.0], [1.0]]) == float("inf")


def test_a_wrong_result_is_reported_and_not_timed():
    row = select("4a")[0]
    table = Table([row], {})
    table.prepared(row, "numpy", {"digest": [[3.0, 1.0, 2.0, 3.0]]})
    table.prepared(row, "mxform", {"digest": [[3.0, 1.0, 2.0, 4.0]]})
    assert table.compare(row) and not table.wanted(row, "mxform") and table.wanted(row, "numpy")


def test_report_combines_runs_and_fills_in_a_document(tmp_path):
    runs = []
    for n, seconds in enumerate((3.0, 2.0)):
        runs.append(tmp_path / f"{n}.json")
        runs[n].write_text(json.dumps(table_of({"mxform": sampled(1.0), "jax": sampled(seconds)})))
    document = tmp_path / "document.md"
    document.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.main([*map(str, runs), "--docs", str(document)])
    text = document.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert "| 3.00 (2.00) | 2 | yes |" in text


def test_chart_is_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    result = table_of({"mxform": sampled(1.0), "jax": sampled(3.0)})
    report.chart(result, tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
