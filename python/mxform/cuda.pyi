# Made by python/make_stubs.py; do not edit.
from collections.abc import Callable, Sequence
from typing import Any

from . import ArrayLike, Device, DeviceType, Dtype, Stream, array

def is_available() -> bool: ...
