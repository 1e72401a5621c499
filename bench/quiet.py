"""Was a sample quiet? How much of the machine did others use while we measured.

The kernel accounts idle time exactly but shows it in hundredths of a second, so a sample of 30 ms on two CPUs is
judged to within about a sixth. Elsewhere than on Linux every sample counts as quiet.
"""

import os
import time

CPUS = os.cpu_count() or 1
# Others may take this share of the machine, on top of one unit of the clock that counts idle time.
ALLOWED = 0.04
UNIT = 0.01


def idle_seconds():
    try:
        with open("/proc/uptime") as file:
            return float(file.read().split()[1])
    except OSError:
        return None


class Watch:
    """Measures a stretch of time: `with Watch() as w: ...`, then `w.wall`, `w.own`, `w.others`, `w.quiet`."""

    def __enter__(self):
        self.idle_before = idle_seconds()
        self.own_before = time.process_time()
        self.before = time.perf_counter()
        return self

    def __exit__(self, *_):
        self.wall = time.perf_counter() - self.before
        self.own = time.process_time() - self.own_before
        idle = idle_seconds()
        if idle is None:
            self.others, self.quiet = 0.0, True
            return
        used = CPUS * self.wall - (idle - self.idle_before) - self.own
        self.others = max(0.0, used) / (CPUS * self.wall)
        self.quiet = used <= ALLOWED * CPUS * self.wall + UNIT


def running():
    """How many threads of the whole machine are running or ready to run, this one included."""
    try:
        with open("/proc/loadavg") as file:
            return int(file.read().split()[3].split("/")[0])
    except OSError:
        return 1


def await_quiet(limit=0.05):
    """Wait until nothing else runs, but not for long: between two compilations there is often a gap."""
    end = time.perf_counter() + limit
    calm = 0
    while calm < 3 and time.perf_counter() < end:
        calm = calm + 1 if running() <= 1 else 0
        time.sleep(0.001)


def settle(limit=0.3):
    """Wait until the threads of this process have stopped spinning, so that they do not disturb the next peer."""
    end = time.perf_counter() + limit
    while time.perf_counter() < end:
        own = time.process_time()
        time.sleep(0.002)
        if time.process_time() - own < 0.0005:
            return
