"""The study of real shapes: equal budgets, one judge, nothing prepared twice, and a table that says what was measured.

No real shape is needed: made ones of another seed stand in for them under a name of their own.
"""

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

import tpl.shapes
from tpl.chapters.real_shapes.figures import contact_sheets, plot_study, study_gallery
from tpl.chapters.real_shapes.study import (
    Arm,
    arms,
    counted,
    run_study,
    study_by_kind,
    study_rows,
    study_sentences,
    study_table,
    varieties,
)
from tpl.dataset.collection import CollectionConfig, open_collection
from tpl.dataset.prepare import PrepareConfig
from tpl.evaluation.results import read_results
from tpl.evaluation.rows import COLUMNS
from tpl.inference import OracleConfig
from tpl.shapes import procedural_shapes
from tpl.study.bench import Bench
from tpl.study.methods import OUR_ENCODER, OUR_PHASE_1
from tpl.study.trainings import embed_category, regress_category
from tpl.training import embedding_config, regression_config

TINY = dict(latent_dim=4, warp_hidden=8, warp_steps=2, template_hidden=16, template_layers=2, dropout=0.0)
AMOUNTS = PrepareConfig(
    sdf_samples=1200, cross_samples=300, surface_points=800, easy_views=2, hard_views=1, image_size=32
)


def found_sofas(category, counts, seed, options):
    """Four training shapes and two test shapes, whatever is asked for."""
    wanted = {"train": 4 * bool(counts["train"]), "test": 2 * bool(counts["test"])}
    return [dataclasses.replace(shape, source="found") for shape in procedural_shapes(category, wanted, seed=7)]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    data, runs = str(folder / "data"), str(folder / "runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tpl.shapes, "SOURCES", {"found": found_sofas, **tpl.shapes.SOURCES})
        made = open_collection(
            data, ["sofas"], CollectionConfig(train=2, coded=2, validation=0, test=1, prepare=AMOUNTS), 1
        )
        first = embedding_config(
            epochs=12, model=TINY, shapes_per_batch=2, points_per_shape=64, outputs="last", warp_rate=5e-3
        )
        bench = Bench(Path(runs), made, ("sofas",), resolution=24, shown_resolution=24)
        embed_category(bench, first, OUR_PHASE_1)
        encoder = dict(encoder=dict(latent_dim=4, width=8), views_per_batch=2, epochs=6, precision="fp32")
        regress_category(bench, regression_config(**encoder, sdf_weight=10.0), OUR_ENCODER)
        wanted = arms(["sofas"], ["family"], "found")
        for arm in wanted:  # one at a time, which is in this process, where the stand-ins are
            run_study([arm], bench, OracleConfig(iterations=5, points=64), jobs=1)
        yield bench, wanted


def test_each_arm_lies_beside_the_run_it_is_compared_with():
    assert Arm("chairs", "made", "group").folder("data/quick") == Path("data/quick")
    assert Arm("chairs", "real", "family").folder("data/quick") == Path("data/quick-open")
    assert Arm("chairs", "both", "group").folder("runs/quick") == Path("runs/quick-procedural+open-by-group")


def test_all_are_judged_on_the_same_real_shapes_never_trained_on(study):
    bench, wanted = study
    rows = study_rows(wanted, bench)
    real = wanted[1].judged(bench)
    tested = {shape.id for shape in real.shapes("sofas", "test")}
    for arm in wanted:
        judged = rows[rows.trained_on == arm.trained_on]
        assert set(judged.shape_id) == tested
        training = arm.bench(bench).shapes("train")
        assert len(training) == {"made": 2, "real": 4, "both": 6}[arm.trained_on]
        assert not tested & {shape.id for shape in training if shape.source == "found"}


def test_every_training_takes_as_many_steps(study):
    bench, wanted = study
    for phase, batch in ((OUR_PHASE_1, 2), ("our_encoder", 2)):
        steps = [pd.read_csv(arm.bench(bench).folder / phase / "history.csv").step.iloc[-1] for arm in wanted]
        assert max(steps) - min(steps) <= batch * 3  # an epoch of the largest set, which cannot be divided


def test_what_is_prepared_is_taken_over(study):
    bench, wanted = study
    made, both = (wanted[number].bench(bench) for number in (0, 2))
    shape = made.shapes("train")[0]
    first, second = (place.store.path("SdfSamples", shape, ".npz") for place in (made, both))
    assert first.samefile(second)
    crossed = [place.store.path("CrossSamples", shape, ".npz") for place in (made, both)]
    assert not crossed[0].samefile(crossed[1])  # other neighbours, other samples


def test_made_and_real_shapes_are_compared_in_equal_numbers(study):
    bench, _ = study
    table = varieties(["sofas", "chairs"], bench, "found")
    assert table[["category", "origin", "shapes"]].to_numpy().tolist() == [["sofas", "made", 3], ["sofas", "real", 3]]
    assert (table[["mean", "median"]].astype(float) > 0).all().all()
    nowhere = bench.collection._replace(folder=Path(f"{bench.collection.folder}-nowhere"))
    assert varieties(["sofas"], dataclasses.replace(bench, collection=nowhere), "found").empty


def test_run_again_it_only_reads(study):
    bench, wanted = study
    files = [path for arm in wanted for path in (arm.bench(bench).runs / "results").glob("*.csv")]
    before = [file.stat().st_mtime_ns for file in files]
    for arm in wanted:
        run_study([arm], bench, OracleConfig(iterations=5, points=64), jobs=1)
    assert files and before == [file.stat().st_mtime_ns for file in files]
    assert all(len(read_results(file)) for file in files)


def rows_of(trained_on: str, chamfer: dict[str, list[float]], category: str = "sofas") -> pd.DataFrame:
    """Two shapes of two kinds, seen in one fixed and one random view by each method."""
    rows = [
        dict.fromkeys(COLUMNS, 0.0)
        | dict(category=category, split="test", shape_id=f"{place}", family=f"kind{place}-x", view=view, method=method)
        | dict(chamfer=value, chamfer_clean=value, reason="")
        for method, values in chamfer.items()
        for place, value in enumerate(values)
        for view in ("fix", "rnd0")
    ]
    return pd.DataFrame(rows).assign(trained_on=trained_on, held_out="family")


KNOWN = pd.concat(
    [
        rows_of("made", {OUR_ENCODER: [0.008, 0.004], "nearest by pixels": [0.003, 0.003]}),
        rows_of("both", {OUR_ENCODER: [0.001, 0.003], "nearest by pixels": [0.003, 0.003]}),
    ],
    ignore_index=True,
)


def test_the_tables_hold_the_means_of_the_rows():
    table = study_table(KNOWN).set_index(["method", "view"])
    assert table.loc[(OUR_ENCODER, "fix"), "made"].startswith("6.00 (")
    assert table.loc[(OUR_ENCODER, "rnd"), "both"].startswith("2.00 (")
    assert "real" not in table and table.shapes.eq(2).all()
    kinds = study_by_kind(KNOWN, "sofas", "family").set_index("kind")
    assert kinds.loc["kind0", f"{OUR_ENCODER}, made"] == "8.00" and kinds.loc["kind1", f"{OUR_ENCODER}, both"] == "3.00"


def test_the_sentences_name_who_is_ahead():
    (sentence,) = study_sentences(KNOWN)
    assert sentence.startswith("**sofas**, families held out: fix 6.00 (made), 2.00 (both); ahead")
    assert "when trained on both." in sentence and "made and" not in sentence
    throughout = pd.concat([KNOWN[KNOWN.trained_on == "both"].assign(trained_on=on) for on in ("made", "real", "both")])
    assert "when trained on made, real and both." in study_sentences(throughout)[0]
    worse = KNOWN[KNOWN.trained_on == "made"]
    assert "its pixel neighbour is ahead throughout" in study_sentences(worse)[0]


def test_without_anything_measured_tables_figures_and_sentences_say_so(tmp_path):
    bench = Bench.open(tmp_path / "data", tmp_path / "runs", "chairs", prepared=False)
    nothing = study_rows(arms(["chairs"]), bench)
    assert len(study_table(nothing)) == 0 and "make real" in study_sentences(nothing)[0]
    for figure in (plot_study(nothing), study_gallery(nothing, [], bench, 3), contact_sheets({}, tmp_path)):
        assert "make real" in figure.axes[0].texts[0].get_text()


def test_shapes_are_counted_by_split_family_and_kind():
    shapes = found_sofas("sofas", {"train": 1, "test": 1}, 0, None)
    table = counted(shapes).set_index("split")
    assert table.shapes.to_dict() == {"train": 4, "test": 2}
    assert (table.families <= table.shapes).all() and (table.kinds <= table.families).all()
