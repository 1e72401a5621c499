"""What was measured: the samples of every row and peer, and what they come to."""

import statistics

import numpy as np

ENOUGH = 3  # quiet samples for a median to count
SLOW = 4.0  # a peer this many times slower than the fastest is asked in every third round only

REFERENCES = ("numpy", "jax", "torch", "inductor", "mlx", "mxform")


class Table:
    def __init__(self, rows, versions):
        self.rows, self.versions = rows, versions
        self.samples = {row.number: {} for row in rows}
        self.digests = {row.number: {} for row in rows}
        self.errors = {row.number: {} for row in rows}
        self.machine = {}

    def prepared(self, row, peer, answer):
        if "error" in answer:
            self.errors[row.number][peer] = answer["error"]
        elif "digest" in answer:
            self.digests[row.number][peer] = answer["digest"]
            self.samples[row.number][peer] = []

    def compare(self, row):
        """Compare the results of a row with those of the first reference that has it; a peer that differs is not timed."""
        problems = []
        by = self.digests[row.number]
        names = sorted(by, key=REFERENCES.index)
        for peer in names[1:]:
            worst = difference(by[names[0]], by[peer])
            if not worst <= row.tolerance:
                problems.append(f"{row.title}: {peer} and {names[0]} differ by {worst:.2g}")
                self.errors[row.number][peer] = f"result differs by {worst:.2g}"
                self.samples[row.number].pop(peer)
        return problems

    def wanted(self, row, peer):
        return peer in self.samples[row.number]

    def sampled(self, row, peer, answer):
        if "error" in answer:
            self.errors[row.number][peer] = answer["error"]
        else:
            self.samples[row.number][peer].append(answer)

    def slowness(self, row, peer):
        """How many times slower than the fastest peer; 0 while it is not known."""
        found = {p: min(s["best"] for s in samples) for p, samples in self.samples[row.number].items() if samples}
        return found[peer] / min(found.values()) if peer in found else 0.0

    def figure(self, samples):
        calm = [s["seconds"] for s in samples if s["quiet"]]
        return {
            "median": statistics.median(calm or [s["seconds"] for s in samples]),
            "min": min(s["best"] for s in samples),
            "samples": len(samples),
            "quiet": len(calm) / len(samples),
            "disturbed": len(calm) < ENOUGH,
        }

    def rate(self, row, figures):
        """The best peer, and its time divided by mxform's: of medians, or of minima where quiet samples are too few."""
        rivals = {p: f for p, f in figures.items() if p != "mxform" and p not in row.not_counted}
        if not rivals:
            return {}
        if row.kind != "time":
            by, sign = "median", -1 if row.higher else 1
            best = min(rivals, key=lambda p: sign * rivals[p][by])
            rated = {"best_peer": best, "by": by}
            if "mxform" in figures:
                ratio = (rivals[best][by] / figures["mxform"][by]) ** sign
                rated |= {"ratio": ratio, "pass": ratio >= row.bar}
            return rated
        fast = min(f["min"] for f in rivals.values())
        contenders = [f for p, f in figures.items() if p == "mxform" or f["min"] < SLOW * fast]
        by = "min" if any(f["disturbed"] for f in contenders) else "median"
        best = min(rivals, key=lambda p: rivals[p][by])
        rated = {"best_peer": best, "by": by}
        if "mxform" in figures:
            ratio = rivals[best][by] / figures["mxform"][by]
            rated |= {"ratio": ratio, "pass": ratio >= row.bar}
        return rated

    def result(self):
        out = []
        for row in self.rows:
            figures = {p: self.figure(s) for p, s in self.samples[row.number].items() if s}
            entry = {
                "row": row.number, "name": row.name, "bar": row.bar, "unit": row.unit, "kind": row.kind,
                "flops": row.flops, "bytes": row.bytes, "bf16": row.dtype == "bfloat16",
                "peers": figures, "errors": self.errors[row.number],
            }
            entry |= self.rate(row, figures)
            out.append(entry)
        return {"machine": self.machine, "versions": self.versions, "rows": out}


def difference(a, b):
    """The largest difference of two digests, relative to the largest magnitude of each array."""
    if [len(x) for x in a] != [len(x) for x in b]:
        return float("inf")
    worst = 0.0
    for x, y in zip(a, b):
        x, y = np.array(x), np.array(y)
        if len(x) and x[0] != y[0] and x[0] == int(x[0]) and len(x) > 4:
            return float("inf")  # the sizes differ
        scale = max(1e-6, float(np.max(np.abs(x[1:] if len(x) > 1 else x))))
        gap = np.abs(x - y)
        worst = max(worst, float(np.max(gap)) / scale)
    return worst
