"""The command: runs parts, and keeps their tables in benchmarks/RESULTS.md."""

import argparse
import re
import time
from pathlib import Path

import torch

from benchmarks import (
    book,
    cleaning,
    images,
    machines,
    phase_1,
    photograph,
    playground,
    shapes,
    surfaces,
    waiting,
    watching,
)
from benchmarks.measuring import matrix_peak, memory_peak
from tpl.provenance import cpu_name, git_commit

RESULTS = Path(__file__).with_name("RESULTS.md")
PARTS = (
    phase_1.PARTS
    | machines.PARTS
    | images.PARTS
    | shapes.PARTS
    | cleaning.PARTS
    | surfaces.PARTS
    | playground.PARTS
    | watching.PARTS
    | waiting.PARTS
    | photograph.PARTS
    | book.PARTS
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"which of {', '.join(PARTS)}; all by default")
    asked = parser.parse_args().parts or list(PARTS)
    unknown = [name for name in asked if name not in PARTS]
    if unknown:
        parser.error(f"no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    torch.set_num_threads(1)
    for name in asked:
        start = time.perf_counter()
        lines = PARTS[name]()
        title = (PARTS[name].__doc__ or name).partition("\n")[0].rstrip(".")
        spent = time.perf_counter() - start
        section = "\n".join([f"## {name}: {title}", "", *lines, "", f"{machine()}; measured in {spent:.0f} s."])
        print(section, flush=True)
        write(read_sections() | {name: section})


def machine() -> str:
    """The machine in one sentence, with what it can do at most."""
    peak, memory = matrix_peak() / 1e9, memory_peak() / 1e9
    return (
        f"*{cpu_name()}, one thread unless a row says otherwise; torch {torch.__version__}, commit {git_commit()}; "
        f"measured peaks: {peak:.0f} GFLOP/s in fp32 matrices, {memory:.1f} GB/s of memory*"
    )


def read_sections() -> dict[str, str]:
    """What RESULTS.md says of each part."""
    text = RESULTS.read_text() if RESULTS.exists() else ""
    found = re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]
    return {section[3:].partition(":")[0]: section.strip() for section in found}


def write(sections: dict[str, str]) -> None:
    ordered = [sections[name] for name in PARTS if name in sections]
    head = (
        "# What each stage costs\n\nWritten by `make bench`; ratios are of medians, and above 1 where ours is faster.\n"
    )
    RESULTS.write_text("\n\n".join([head.strip(), *ordered]) + "\n")


if __name__ == "__main__":
    main()
