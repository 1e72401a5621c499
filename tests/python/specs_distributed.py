"""specs_distributed.py — rows of mx.distributed: with one process, collective operations are the identity."""

import mxform as mx
from specs import ALL, C, a, row


def collective(name):
    return row(name, getattr(mx.distributed, name), lambda x: x, C(a(2, 3)), C(a()), C(a(0, 2)), dtypes=ALL)


SPECS = [collective(name) for name in ("all_sum", "all_max", "all_min", "all_gather", "sum_scatter")]
