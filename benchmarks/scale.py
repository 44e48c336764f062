"""Planning past this machine: what larger collections cost, computed from the measured rates of RESULTS.md.

python -m benchmarks.scale     writes the table in benchmarks/SCALE.md anew; the text around it is written by hand
"""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from benchmarks.__main__ import read_sections
from benchmarks.measuring import table
from benchmarks.shapes import chair
from tpl.rendering import easy_camera, render_views

SCALE = Path(__file__).with_name("SCALE.md")
START, END = "<!-- the table: python -m benchmarks.scale -->", "<!-- the end of the table -->"

EPOCHS, SHAPES_A_STEP, POINTS_A_STEP = 2001, 24, 24 * 5000  # the paper's schedule of phase 1
H100_STEP = 0.025  # seconds of such a step: arithmetic from operations and bytes counted, not measured
SAMPLES, LATENT = 500_000, 256
FILES = 4 + 101 + 3  # a shape: samples, surface, frame, record; views; their cameras
CORES = 64  # of a small cluster


class Plan(NamedTuple):
    name: str
    shapes: int
    training: int


PLANS = [
    Plan("ShapeNet, three categories", 8388, 6689),  # DeepSDF's splits
    Plan("ShapeNet, all 55", 51_300, 41_000),  # its authors' count; the same share trains
    Plan("a million (Objaverse)", 1_000_000, 800_000),
]


def cell(part: str, row: str, column: int) -> float:
    """A number of RESULTS.md: in the part's table, in the first row that begins so."""
    lines = [line for line in read_sections()[part].splitlines() if line.startswith(f"| {row}")]
    return float(lines[0].split("|")[column + 1].replace(",", ""))


def stored() -> float:
    """Bytes of a shape's files; the views are a chair's."""
    mesh, rng = chair().load(), np.random.default_rng(0)
    views = render_views(mesh, [easy_camera(number, rng) for number in range(0, 50, 5)])
    files = [io.BytesIO() for _ in views]
    for view, file in zip(views, files, strict=True):
        Image.fromarray(view).save(file, "png", compress_level=1)  # as the store does
    return 16 * SAMPLES + 12 * 30_000 + 101 * float(np.mean([file.tell() for file in files]))


def scale() -> list[str]:
    """The table of costs."""
    seconds, megabytes = 3600 / cell("preparing", "the paper's", 1), stored() / 1e6
    points = cell("phase_1", "256, 512, 256 (paper)", 2)
    lines: dict[str, list[str]] = {}
    for plan in PLANS:
        steps = EPOCHS * plan.training / SHAPES_A_STEP
        column = {
            "shapes, of which train": f"{plan.shapes:,}, {plan.training:,}",
            "storage, TB": f"{plan.shapes * megabytes / 1e6:.3g}",
            "files, million": f"{plan.shapes * FILES / 1e6:.3g}",
            "preparing on one core, h": f"{plan.shapes * seconds / 3600:,.0f}",
            f"preparing on {CORES} cores, h": f"{plan.shapes * seconds / 3600 / CORES:,.1f}",
            "phase 1, steps of 24 x 5000 points": f"{steps:,.0f}",
            "phase 1 on one core, years": f"{steps * POINTS_A_STEP / points / 3600 / 24 / 365:,.2g}",
            "phase 1 on one H100, h": f"{steps * H100_STEP / 3600:,.0f}",
            "SDF samples in the device's memory, GB": f"{plan.training * SAMPLES * 16 / 1e9:,.0f}",
            "codes with Adam's moments, GB": f"{plan.training * LATENT * 12 / 1e9:.2g}",
        }
        for name, value in column.items():
            lines.setdefault(name, []).append(value)
    how = {
        "storage, TB": f"{megabytes:.2f} MB a shape: samples by arithmetic, views of a chair measured",
        "files, million": f"{FILES} a shape, counted",
        "preparing on one core, h": f"{seconds:.1f} s a chair, measured (preparing)",
        f"preparing on {CORES} cores, h": "arithmetic: the line above, divided",
        "phase 1, steps of 24 x 5000 points": "arithmetic: 2001 epochs",
        "phase 1 on one core, years": f"{points:,.0f} points a second, measured (phase_1)",
        "phase 1 on one H100, h": f"arithmetic: {1000 * H100_STEP:.0f} ms a step, nothing measured",
        "SDF samples in the device's memory, GB": "arithmetic: 16 bytes a sample",
        "codes with Adam's moments, GB": "arithmetic: 256 numbers, three times",
    }
    rows = [(name, *values, how.get(name, "their authors' counts")) for name, values in lines.items()]
    head = " | ".join(["", *(plan.name for plan in PLANS), "from"])
    return table(head, rows)


def main() -> None:
    before, _, rest = SCALE.read_text().partition(START)
    _, _, after = rest.partition(END)
    SCALE.write_text("\n\n".join([before + START, "\n".join(scale()), END + after]))


if __name__ == "__main__":
    main()
