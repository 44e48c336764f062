"""Threads that wait for each other, on cores that others use as well: what it costs to let them spin or sleep."""

import os
import subprocess
import sys

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
BUSY = "while True: pass"


def waiting() -> list[str]:
    """threads that wait for each other: seconds of a fit to an outline, and of a mesh at 128^3, least of two."""
    rows = []
    for others in (0, os.cpu_count() or 1):
        busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(others)]
        try:
            for threads, policy in ((1, ""), (THREADS, ""), (THREADS, "PASSIVE")):
                fit, mesh = _seconds(threads, policy)
                waits = "-" if threads == 1 else "they sleep" if policy else "they spin (unset)"
                rows.append((f"{others} busy processes", threads, waits, f"{fit:.2f} s", f"{mesh:.2f} s"))
        finally:
            for process in busy:
                process.kill()
                process.wait()
    return table("beside | threads | while they wait | fit | mesh", rows)


def _seconds(threads: int, policy: str) -> tuple[float, float]:
    others = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "OMP_NUM_THREADS")}
    environment = others | ({"OMP_WAIT_POLICY": policy} if policy else {})
    command = [sys.executable, "-c", FITTED, str(threads)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    fit, mesh = map(float, done.stdout.split())
    return fit, mesh


PARTS = {"waiting": waiting}
