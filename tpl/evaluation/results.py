"""Results as CSV files, one row a shape, view and method."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tpl.border import border
from tpl.errors import PlainError
from tpl.evaluation.rows import COLUMNS, SCORES
from tpl.files import write_file

PROVENANCE = ["protocol", "seed", "run"]


NUMBERS = [*SCORES, "seconds"]


class ResultsError(PlainError):
    """Results that are missing, incomplete or not results."""


def write_results(path: Path, rows: Sequence[dict] | pd.DataFrame, protocol: str, seed: int, run: str) -> None:
    """Writes rows as CSV, all of them or none.

    Args:
        path: Of the file; its folder is made, an older file replaced.
        rows: `COLUMNS`.
        protocol: What the numbers mean, in a few words that stand in every row.
        seed: Of everything random in the evaluation.
        run: Name of the run that the models come from.
    """
    table = pd.DataFrame(rows)
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise ResultsError(f"nothing written to {path}: the rows lack {', '.join(missing)}")
    table = table[COLUMNS].assign(protocol=protocol, seed=seed, run=run)
    write_file(path, lambda partial: table.to_csv(partial, index=False))


def read_results(path: Path, made_by: str = "07_tables") -> pd.DataFrame:
    """Reads what `write_results` wrote, from one file or from all CSV files of a folder.

    Args:
        path: File or folder.
        made_by: The chapter that writes it, for the error.

    Raises:
        ResultsError: There is nothing at this place, or something else.
    """
    files = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    if not files or not files[0].exists():
        raise ResultsError(f"no results at {path}; chapter {made_by} makes them: run `tpl run {made_by}`")
    return pd.concat([_read_file(file) for file in files], ignore_index=True)


def _read_file(file: Path) -> pd.DataFrame:
    with border(file, "delete it and run the chapter anew", ResultsError):
        return _table(file)


def _table(file: Path) -> pd.DataFrame:
    # Text as text: an id may look like a number, an empty reason is not a missing one.
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    missing = [column for column in [*COLUMNS, *PROVENANCE] if column not in table]
    if missing:
        raise ResultsError(f"{file} is no table of results: it lacks {', '.join(missing)}; delete it")
    for column in NUMBERS:
        table[column] = np.array([float(value or "nan") for value in table[column]])
    return table.astype({"seed": int})
