"""What minutes buy: the same methods on the same shapes and views, by a run and by one that had hours."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from tpl.chapters.tables.comparison import unbroken
from tpl.evaluation.results import read_results
from tpl.evaluation.summary import format_summary, paired_difference, summarize
from tpl.pretrained import files
from tpl.pretrained.files import has_networks, read_manifest
from tpl.study.bench import Bench
from tpl.study.judging import results_file
from tpl.study.methods import NEAREST_CODE, NEAREST_PIXELS, ORACLE_CODE, ORACLE_RETRIEVAL, OUR_ENCODER
from tpl.study.networks import TRAININGS, served

SHOWN = (OUR_ENCODER, NEAREST_PIXELS, NEAREST_CODE, ORACLE_RETRIEVAL, ORACLE_CODE)
KEYS = ["category", "shape_id", "view", "method", "protocol"]


def longer_run(bench: Bench, runs: Path | str, split: str = "test") -> Bench | None:
    """The bench of a longer run: in its folder where it is judged, or as it comes with the package; else none.

    Args:
        bench: Of the run that it is compared with; there is none longer than itself.
        runs: The longer run's folder.
        split: Whose shapes are judged.
    """
    longer = replace(bench, runs=Path(runs))
    if longer.runs == bench.runs:
        return None
    if all(results_file(longer.of(name), split).exists() for name in bench.categories):
        return longer
    comes = split == "test" and all(has_networks(name) for name in bench.categories)
    comes = comes and read_manifest(files.PACKAGED / files.MANIFEST)["profile"] == longer.runs.name
    return served(bench, "committed") if comes else None


def minutes_table(
    rows: pd.DataFrame, longer: Bench, split: str = "test", seed: int = 0, methods: Sequence[str] = SHOWN
) -> pd.DataFrame:
    """Chamfer distance x 1000 of both runs, as text: a row a category, method and kind of view.

    Only shapes and views of the same protocol that both have judged are counted, and a failure counts as the worst of
    both. Without any the table is empty.

    Args:
        rows: Of the shorter run.
        longer: As `longer_run` finds it.
        split: Whose shapes are judged.
        seed: Of the bootstrap.
        methods: Those shown, where both runs have them.

    Returns:
        `this run` and `longer`, each the mean with its 95 % interval; `longer - this`, the paired difference with its
        interval, negative where the longer run is better; `medians`, of both.
    """
    others = pd.concat([read_results(results_file(longer.of(name), split)) for name in longer.categories])
    common = rows[KEYS].merge(others[KEYS])
    common = common.loc[common["method"].isin(methods)]
    if common.empty:
        return pd.DataFrame(columns=["category", "method", "view", "shapes", "this run", "longer", "longer - this"])
    named = [table.merge(common).assign(run=run) for run, table in enumerate((rows, others))]
    both = pd.concat(named, ignore_index=True)
    both["method"] = both["method"].where(both["run"] == 0, both["method"] + LONGER)
    table = format_summary(summarize(both, seed))
    table["text"] = table["mean"] + " (" + table["95 %"] + ")"
    keys = ["category", "method", "view"]
    of_longer = table.loc[table["method"].str.endswith(LONGER)]
    of_longer = of_longer.assign(method=of_longer["method"].str.removesuffix(LONGER))
    wide = table.merge(of_longer[[*keys, "text", "median"]], on=keys, suffixes=("", " longer"))
    differences = pd.concat([_difference(both, method, seed) for method in dict.fromkeys(wide["method"])])
    wide = wide.merge(differences, on=keys)
    wide["medians"] = wide["median"] + ", " + wide["median longer"]
    wide = wide.rename(columns={"text": "this run", "text longer": "longer"})
    columns = [*keys, "shapes", "this run", "longer", "longer - this", "medians"]
    return wide.loc[:, columns].astype(str).map(unbroken)


LONGER = " (longer)"


def _difference(rows: pd.DataFrame, method: str, seed: int) -> pd.DataFrame:
    found = paired_difference(rows, method + LONGER, method, seed)
    numbers = (1000 * found[["difference", "low", "high"]]).to_numpy()
    found["longer - this"] = [f"{mean:+.2f} ({low:+.2f} to {high:+.2f})" for mean, low, high in numbers]
    return found.assign(method=method).loc[:, ["category", "method", "view", "longer - this"]]


def cost_table(bench: Bench, longer: Bench) -> pd.DataFrame:
    """What the trainings of our decoder and encoder were in both runs, as text: sizes, steps, seconds, device.

    Raises:
        RunError: One of them is missing.
    """
    rows = []
    for category in bench.categories:
        for label, place in (("this run", bench), ("longer", longer)):
            phase_1, phase_2 = (place.of(category).run(name) for name in TRAININGS)
            row = {
                "category": category,
                "run": label,
                "coded shapes": phase_1.shape_of("codes.weight")[0],
                "code": phase_1.config()["model"]["latent_dim"],
                "LSTM": phase_1.config()["model"]["warp_hidden"],
                "width": phase_2.config()["encoder"]["width"],
            }
            for number, run in enumerate((phase_1, phase_2), start=1):
                row[f"steps of phase {number}"] = f"{run.history().step.iloc[-1]:,}"
                row[f"seconds of phase {number}"] = f"{run.facts()['seconds']:.0f}"
            rows.append(row | {"device": phase_2.facts()["device"]})
    return pd.DataFrame(rows).astype(str)
