"""What stands around the computations: t-SNE, the evaluation of a split, a chapter's overhead, the site."""

import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import torch

from benchmarks.measuring import interleaved, seconds, table
from benchmarks.surfaces import learnt
from tpl.chapters.latent_space.measures import embed_views
from tpl.evaluation.rows import Case, case_rng, evaluate_reconstruction
from tpl.geometry.marching import extract_mesh, sample_mesh
from tpl.geometry.primitives import sphere

ROOT = Path(__file__).parent.parent


def tsne() -> list[str]:
    """t-SNE of codes, as Fig. 6 has it."""
    rows = []
    for count in (120, 240, 480, 960):
        codes = np.random.default_rng(0).normal(size=(count, 32))
        spent = interleaved({"ours": lambda codes=codes: embed_views(codes)}, 1)["ours"]
        rows.append((f"{count}", f"{spent:.2f}", f"{1e6 * spent / count**2:.1f}"))
    return table("codes | s | microseconds a pair", rows)


def judged(number: int) -> float:
    """One row of an evaluation: decoding, sampling, distances."""
    torch.set_num_threads(1)
    mesh = extract_mesh(learnt(sphere(0.4 + 0.01 * number)), 64)
    truth, normals = sample_mesh(mesh, 30_000, np.random.default_rng(number))
    case = Case("chairs", "test", str(number), "ball", "fix", "benchmark")
    return evaluate_reconstruction(case, mesh, truth, normals, case_rng(0, str(number)))["chamfer"]


def evaluation() -> list[str]:
    """rows of an evaluation: a decoding at 64^3 and a comparison of 30 000 with 30 000 points each."""
    rows = []
    rates = {}
    for processes in (1, 2):
        with joblib.Parallel(n_jobs=processes, backend="loky") as parallel:
            parallel(joblib.delayed(judged)(number) for number in range(processes))  # imports
            spent = seconds(lambda parallel=parallel: parallel(joblib.delayed(judged)(number) for number in range(24)))
        rates[processes] = 24 / spent
        rows.append(
            (
                f"{processes}",
                f"{rates[processes]:.2f}",
                f"{rates[processes] / rates[1]:.2f}",
                f"{500 / rates[processes]:.0f}",
            )
        )
    return table("processes | rows a second | speed-up | s for 100 shapes x 5 views", rows)


def chapter() -> list[str]:
    """what papermill and the record of a run add to a chapter, and the site's build."""
    rows = []
    program = "import tpl.book.execution, tpl.study.trained, tpl.look.plotting"
    rows.append(
        (
            "an interpreter that imports what chapters import",
            f"{seconds(lambda: run([sys.executable, '-c', program])):.1f}",
        )
    )
    intro = [sys.executable, "-m", "tpl", "run", "intro", "--profile", "smoke"]
    rows.append(("`tpl run intro --profile smoke`", f"{seconds(lambda: run(intro)):.1f}"))
    site = [sys.executable, "-m", "tpl", "site"]
    rows.append(("`tpl site` of the published run", f"{seconds(lambda: run(site)):.1f}"))
    return table("what | s", rows)


def run(command: list[str]) -> None:
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


PARTS = {"tsne": tsne, "evaluation": evaluation, "chapter": chapter}
