"""Threads that wait for each other, on cores that others use as well: what it costs to let them spin or sleep."""

import os
import subprocess
import sys
import time

from benchmarks.measuring import table

THREADS = 2
FITTED = """
import sys, time
import torch  # before `tpl`, which would say how threads wait

torch.set_num_threads(int(sys.argv[1]))
from tpl.pretrained.loading import load_networks
from tpl.refinement import coverage
from tpl.refinement.answering import answer, fitted_code
from tpl.rendering import FIXED, composite, render_view
from tpl.shapes import list_shapes

arm, shape = load_networks("chairs"), list_shapes("procedural", "chairs", train=1)[0]
image = composite(render_view(shape.load(), FIXED, arm.encoder.config.image_size))[None]
covered, best = coverage(image, image.shape[1]), [9e9, 9e9]
for _ in range(2):
    began = time.perf_counter()
    fitted_code(arm, image, covered)
    fitted = time.perf_counter()
    answer(arm, image, covered, 0)
    best = [min(pair) for pair in zip(best, (fitted - began, time.perf_counter() - fitted))]
print(*best)
"""
BUSY = FITTED.replace("range(2)", "range(10_000)")
WAITS = {
    "they spin (nothing set)": {},
    "they sleep (OMP_WAIT_POLICY=PASSIVE, ours)": {"OMP_WAIT_POLICY": "PASSIVE"},
    "they spin a little (GOMP_SPINCOUNT=1000)": {"GOMP_SPINCOUNT": "1000"},
}
SETTLED = 10
"""Seconds until those beside are at work."""


def waiting() -> list[str]:
    """threads that wait for each other: seconds of a fit to an outline, and of a mesh at 128^3, least of two."""
    rows = []
    for others in (0, os.cpu_count() or 1):
        busy = [_start(BUSY, THREADS, {}) for _ in range(others)]
        time.sleep(SETTLED if busy else 0)
        try:
            for threads, waits, variables in ((1, "-", {}), *((THREADS, *pair) for pair in WAITS.items())):
                fit, mesh = _seconds(threads, variables)
                rows.append((f"{others} such fits that spin", threads, waits, f"{fit:.2f} s", f"{mesh:.2f} s"))
        finally:
            for process in busy:
                process.kill()
                process.wait()
    return table("beside | threads | while they wait | fit | mesh", rows)


def _start(code: str, threads: int, variables: dict[str, str]) -> subprocess.Popen:
    known = ("OMP_WAIT_POLICY", "OMP_NUM_THREADS", "GOMP_SPINCOUNT")
    others = {name: value for name, value in os.environ.items() if name not in known}
    command = [sys.executable, "-c", code, str(threads)]
    return subprocess.Popen(command, env=others | variables, stdout=subprocess.PIPE, text=True)


def _seconds(threads: int, variables: dict[str, str]) -> tuple[float, float]:
    fit, mesh = map(float, _start(FITTED, threads, variables).communicate()[0].split())
    return fit, mesh


PARTS = {"waiting": waiting}
