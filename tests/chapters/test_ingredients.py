"""What each ingredient of our encoder is worth: equal steps, one thing changed at a time, and a table of the rows."""

import dataclasses

import pandas as pd
import pytest

from tpl.chapters.ingredients import (
    INGREDIENTS,
    WHOLE,
    arms,
    changed,
    ingredients_table,
    kept,
    kept_files,
    measure,
    seeds_sentence,
)
from tpl.dataset.collection import CollectionConfig, open_collection
from tpl.dataset.prepare import PrepareConfig
from tpl.evaluation.rows import COLUMNS
from tpl.settings import SettingsError
from tpl.study.bench import Bench
from tpl.study.methods import OUR_ENCODER, OUR_PHASE_1, PHASE_1
from tpl.study.trained import score_views
from tpl.study.trainings import embed_category, regress_category
from tpl.training import RunError, RunFolder, embedding_config, regression_config

TINY = dict(latent_dim=4, warp_hidden=8, warp_steps=2, template_hidden=16, template_layers=2, dropout=0.0)
OURS = regression_config(
    encoder=dict(width=8, pool=2, crop=True, channels="mask", camera=True),
    epochs=3,
    views_per_batch=2,
    points_per_view=16,
    learning_rate=3e-3,
    muon_rate=5e-3,
    standardise=True,
    jitter=0.0,
    hue=0.0,
    brightness=0.4,
    rotation=4.0,
    zoom=0.05,
    shift=0.03,
    sharp=True,
    sdf_weight=10.0,
    sdf_from=0.3,
    camera_weight=0.3,
    precision="fp32",
)
TRIED = "our decoder, more shapes, SDF loss"


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """Two coded chairs, a third that is kept whole, two small ones; both decoders, and our encoder."""
    folder = tmp_path_factory.mktemp("ingredients")
    amounts = PrepareConfig(
        sdf_samples=1000, cross_samples=300, surface_points=1000, easy_views=2, hard_views=1, image_size=32
    )
    small = dict(small=2, small_sdf_samples=300, small_cross_samples=100, small_surface_points=500)
    config = CollectionConfig(train=3, coded=2, validation=2, test=0, prepare=amounts, **small)
    collection = open_collection(folder / "data", ["chairs"], config, jobs=1)
    bench = Bench(folder / "runs", collection, ("chairs",), resolution=16)
    for name, dim in ((PHASE_1, 0), (OUR_PHASE_1, 2)):
        first = dict(epochs=40, shapes_per_batch=2, points_per_shape=64, warp_rate=5e-3, template_rate=5e-3)
        embed_category(bench, embedding_config(model={**TINY, "ambient_dim": dim}, **first), name)
    regress_category(bench, OURS, OUR_ENCODER)
    return bench


def steps_of(bench: Bench, folder: str) -> int:
    return int(pd.read_csv(bench.folder / folder / "history.csv").step.iloc[-1])


def test_each_training_lacks_what_it_is_named_for_and_nothing_else(bench):
    whole, *others = arms(bench, OURS, seeds=3)
    equal = OURS.model_copy(update={"total_steps": steps_of(bench, "our_encoder")})
    assert whole.config == OURS and whole.folder == "our_encoder"
    assert [arm.config for arm in others[:2]] == [equal.model_copy(update={"seed": extra}) for extra in (1, 2)]
    lacking = {arm.name: arm for arm in others[2:]}
    assert list(lacking) == [ingredient.name for ingredient in INGREDIENTS]
    for ingredient in INGREDIENTS:
        arm = lacking[ingredient.name]
        assert arm.config == changed(equal, ingredient.changes)
        assert (arm.split, arm.method) == (ingredient.split, ingredient.method)
        assert arm.config != equal or arm.split or arm.method != OUR_ENCODER
    assert lacking["crop and its box"].config.encoder == equal.encoder.model_copy(update={"crop": False})
    assert len({arm.folder for arm in (whole, *others)}) == 3 + len(INGREDIENTS)


def test_what_the_encoder_has_not_is_not_taken_from_it(bench):
    poor = changed(OURS, {"encoder.pool": 1, "muon_rate": 0.0})
    names = [arm.name for arm in arms(bench, poor, seeds=1)]
    assert "2 x 2 pool" not in names and "Muon" not in names and "more shapes" in names
    few = bench.collection.config.model_copy(update={"small": 0})
    without_small = dataclasses.replace(bench, collection=bench.collection._replace(config=few))
    assert "more shapes" not in [arm.name for arm in arms(without_small, OURS, seeds=1)]


def test_an_ingredient_that_is_not_there_and_an_encoder_that_is_not_trained_are_named(bench, tmp_path):
    with pytest.raises(SettingsError, match="no ingredient is called 'salt'; there are our decoder, more shapes"):
        arms(bench, OURS, only="Muon, salt")
    with pytest.raises(RunError, match="no finished training in .*our_encoder"):
        arms(dataclasses.replace(bench, runs=tmp_path), OURS)


def test_all_take_equal_steps_and_are_trained_and_scored_once(bench):
    wanted = arms(bench, OURS, seeds=2, only=TRIED)
    assert kept(bench, wanted, 2).empty and not (bench.folder / "ingredients").exists()  # who only looks trains nothing
    rows = measure(bench, wanted, 2, jobs=1)
    assert list(dict.fromkeys(rows.method)) == [WHOLE, *TRIED.split(", ")]
    assert {steps_of(bench, arm.folder) for arm in wanted} == {steps_of(bench, "our_encoder")}
    assert not (bench.folder / "our_encoder.1").exists()  # the first of the whole is the run's own
    own = score_views(bench, count=2).query("method == @OUR_ENCODER")
    first = rows[(rows.method == WHOLE) & rows.view.isin(["fix0", "rnd0"])]
    pd.testing.assert_series_equal(first.f_score, own.f_score, check_index=False, atol=0.05)  # other points are drawn
    files = [*bench.runs.rglob("*.csv"), *bench.runs.rglob("*.safetensors")]
    before = [file.stat().st_mtime_ns for file in files]
    pd.testing.assert_frame_equal(measure(bench, wanted, 2, jobs=1), rows)
    pd.testing.assert_frame_equal(kept(bench, wanted, 2), rows)
    assert before == [file.stat().st_mtime_ns for file in files]
    table = ingredients_table(rows)
    assert table["without"].tolist() == ["nothing", *TRIED.split(", ")]
    seen = {arm.name: RunFolder(bench.folder / arm.folder).path for arm in wanted}
    assert "sdf" not in pd.read_csv(seen["SDF loss"] / "history.csv")
    assert "sdf" in pd.read_csv(seen["more shapes"] / "history.csv")


def test_rows_are_kept_by_all_that_they_depend_on(bench):
    (arm,) = arms(bench, OURS, seeds=1, only="our decoder")[1:]
    others = [
        (bench, arm._replace(config=changed(arm.config, {"seed": 5})), 2),
        (bench, arm._replace(split="train"), 2),
        (bench, arm._replace(method=OUR_ENCODER), 2),  # another phase 1
        (bench, arm, 1),
        (dataclasses.replace(bench, resolution=17), arm, 2),
    ]
    files = [kept_files(place, [each], count)[each] for place, each, count in [(bench, arm, 2), *others]]
    assert len(set(files)) == 1 + len(others)


def rows_of(name: str, seed: int, fix: list[float], rnd: list[float]) -> pd.DataFrame:
    """Rows of one training, a shape a place in the lists."""
    rows = [
        dict.fromkeys(COLUMNS, 0.0)
        | dict(category="chairs", split="validation", shape_id=f"{place}", family="", view=f"{view}{seed}")
        | dict(method=name, chamfer=value / 1000, chamfer_clean=value / 1000, reason="")
        for view, values in (("fix", fix), ("rnd", rnd))
        for place, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


KNOWN = pd.concat(
    [
        rows_of(WHOLE, 0, [1.0, 2.0, 3.0], [2.0, 3.0, 4.0]),  # 2.5 over both views
        rows_of(WHOLE, 1, [2.0, 3.0, 4.0], [3.0, 4.0, 5.0]),  # 3.5: the whole is at 3.0, its shapes at 2.0, 3.0, 4.0
        rows_of("Muon", 0, [3.0, 4.0, 5.0], [4.0, 5.5, 6.0]),  # shapes at 3.5, 4.75, 5.5
        rows_of("brightness", 0, [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]),  # 1.0 less for each
        rows_of("2 x 2 pool", 0, [1.0, 3.0, 6.0], [1.0, 3.0, 4.0]),  # -1.0, 0.0, +1.0
    ],
    ignore_index=True,
)


def test_the_table_has_means_of_both_views_and_paired_differences_over_shapes():
    table = ingredients_table(KNOWN).set_index("without")
    assert table.index.tolist() == ["nothing", "2 x 2 pool", "brightness", "Muon"]  # in the order of the list
    assert table.loc["nothing", ["fix", "rnd"]].tolist() == ["2.50", "3.50"]
    assert table.loc["Muon", ["fix", "rnd", "difference", "verdict"]].tolist() == ["4.00", "5.17", "+1.58", "with"]
    assert table.loc["brightness", ["difference", "95 %", "verdict"]].tolist() == [
        "-1.00",
        "-1.00 to -1.00",
        "without",
    ]
    assert table.loc["2 x 2 pool", ["difference", "verdict"]].tolist() == ["+0.00", "open"]
    assert ingredients_table(KNOWN[KNOWN.method != WHOLE]).empty


def test_a_sentence_says_how_far_seeds_differ():
    assert seeds_sentence(KNOWN).startswith("2 seeds of the whole come to 2.50, 3.50, 1.00 apart")
    alone = KNOWN[~KNOWN.view.str.endswith("1")]
    assert "one seed (2.50)" in seeds_sentence(alone)
    assert seeds_sentence(KNOWN.iloc[:0]) == "Nothing is measured yet."
