"""From a photograph to a GLB file, as the command `tpl reconstruct` does it with the networks of the package."""

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from benchmarks.measuring import table
from tpl.chapters.photos.standins import before_wall
from tpl.rendering import FIXED, render_view
from tpl.shapes import list_shapes

ROUNDS = 2
TIMED = """
import os, resource, sys, time
os.environ["OMP_NUM_THREADS"] = "1"

def spent():
    return time.process_time()

import torch
times = {"torch": spent()}
import tpl.photos.commands
times["other imports"] = spent()
import numpy, torch
from tpl.photos.pipeline import load
ready = load("chairs")
times["networks"] = spent()
photo = ready.prepare(sys.argv[1])
times["photograph: read, cut out, framed"] = spent()
plain = ready.answer([photo], 0)
times["model and mesh, without refinement"] = spent()
made = ready.answer([photo])
times["the same with refinement"] = spent()
tpl.photos.commands.write_output(made, tpl.photos.commands.Path(sys.argv[2]))
times["file"] = spent()
print(*times.values(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
print(*times, "peak memory", sep=";", file=sys.stderr)
"""


def photograph() -> list[str]:
    """a photograph of 512 x 512 pixels before a plain wall to a mesh at 128^3: CPU seconds of one core."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        view = render_view(list_shapes("procedural", "chairs", train=1)[0].load(), FIXED, 512)
        Image.fromarray(before_wall(view, [(120, 160, 140)])).save(place / "photo.png")
        runs = [_once([sys.executable, "-c", TIMED, place / "photo.png", place / "a.glb"]) for _ in range(ROUNDS)]
        start = [sys.executable, "-c", "from tpl.start import main; main()", "reconstruct", place / "photo.png", "-o"]
        whole = {
            name: min(_cpu([*start, place / "b.glb", *options]) for _ in range(ROUNDS))
            for name, options in {"whole command, --refine 0": ["--refine", "0"], "whole command": []}.items()
        }
    names, best = runs[0][0], [min(values) for values in zip(*(values for _, values in runs), strict=True)]
    parts = [after - before for before, after in zip([0.0, *best[:-2]], best[:-1], strict=True)]
    rows = [(name, f"{value:.2f} s") for name, value in zip(names, parts, strict=False)]
    rows += [(name, f"{value:.2f} s") for name, value in whole.items()]
    return table("part | least of two", [*rows, ("peak memory", f"{best[-1]:.2f} GB")])


def _once(command: list) -> tuple[list[str], list[float]]:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stderr.strip().splitlines()[-1].split(";"), [float(value) for value in done.stdout.split()]


def _cpu(command: list) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


PARTS = {"photograph": photograph}
