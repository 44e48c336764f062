"""The study of protocols: measured once, kept with its weights' hash, and what its tables say."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from tpl.chapters.tables.protocol_study import (
    PROTOCOL_COLUMNS,
    measure_category,
    pairs_in_order,
    plot_ranks,
    protocol_sentences,
    protocol_table,
    protocols_file,
    read_protocols,
)
from tpl.dataset.collection import CollectionConfig, open_collection
from tpl.dataset.prepare import PrepareConfig
from tpl.evaluation.protocols import PROTOCOLS
from tpl.evaluation.results import ResultsError
from tpl.study.bench import Bench
from tpl.study.methods import ENCODER
from tpl.study.trained import Trained
from tpl.study.trainings import embed_category, regress_category
from tpl.training import embedding_config, regression_config

NAMES = [protocol.name for protocol in PROTOCOLS]
FEW = tuple(replace(protocol, points=300) for protocol in PROTOCOLS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def bench(folder):
    amounts = PrepareConfig(
        sdf_samples=1000, cross_samples=0, surface_points=300, easy_views=2, hard_views=1, image_size=16
    )
    config = CollectionConfig(train=2, coded=2, validation=1, test=2, prepare=amounts)
    made = open_collection(folder / "data", ["sofas"], config, jobs=1)
    model = dict(latent_dim=4, warp_hidden=8, warp_steps=2, template_hidden=16, template_layers=2, dropout=0.0)
    sizes = dict(epochs=150, shapes_per_batch=2, points_per_shape=64, outputs="last", pointpair_weight=0.0)
    rates = dict(warp_rate=5e-3, template_rate=5e-3, code_rate=1e-2, cross_share=0.0, precision="fp32")
    bench = Bench(folder / "runs", made, ("sofas",), resolution=16, shown_resolution=16)
    embed_category(bench, embedding_config(model=model, **sizes, **rates))
    encoder = dict(latent_dim=4, width=8)
    config = regression_config(encoder=encoder, epochs=2, views_per_batch=2, precision="fp32")
    regress_category(bench, config)
    return bench


def test_every_shape_has_a_row_by_every_protocol_and_is_measured_once(bench, monkeypatch):
    monkeypatch.setattr("tpl.chapters.tables.protocol_study.PROTOCOLS", FEW)
    file = measure_category(bench, ENCODER)
    assert file == protocols_file(bench, "test") and file.parent.name == "protocols"
    rows = read_protocols([file])
    shapes = [shape.id for shape in bench.shapes("test")]
    assert list(zip(rows["shape_id"], rows["protocol"], strict=True)) == [(s, p) for s in shapes for p in NAMES]
    assert (rows["reason"] == "").all() and (rows["floor"] > 0).all() and (rows["distance"] > 0).all()

    # The number is the protocol's on the mesh that the encoder makes of the fixed view.
    trained = Trained(bench)
    shape, store = bench.shapes("test")[1], bench.store
    code = trained.encode(ENCODER, store.read_views(shape, "fixed")[0])[0]
    frame = store.read_normalization(shape)
    made = trained.decode(code, frame)
    for protocol, (_, row) in zip(FEW, rows.iloc[4:].iterrows(), strict=True):
        other = protocol.measure(made, shape.load(), frame, np.random.default_rng(9))
        assert row["distance"] == pytest.approx(other, rel=0.35)  # 300 points of another draw

    stamp = file.stat().st_mtime_ns
    assert measure_category(bench, ENCODER).stat().st_mtime_ns == stamp
    run = bench.folder / "encoder" / "model.safetensors"
    monkeypatch.setattr("tpl.training.RunFolder.digest", lambda self: "other weights")
    assert run.exists() and measure_category(bench, ENCODER).stat().st_mtime_ns > stamp


def test_a_reconstruction_that_failed_is_a_row_with_its_reason(bench, monkeypatch):
    def refuse(*_, **__):
        raise MemoryError("no room")

    monkeypatch.setattr("tpl.chapters.tables.protocol_study.PROTOCOLS", FEW)
    monkeypatch.setattr("tpl.study.trained.Trained.decode", refuse)
    rows = read_protocols([measure_category(replace(bench, resolution=17), ENCODER)])
    assert rows["distance"].isna().all() and set(rows["reason"]) == {"MemoryError: no room"}


def test_codes_go_to_the_decoder_of_the_method_that_is_measured(bench, monkeypatch):
    decode, asked = Trained.decode, []

    def listen(self, latent, frame, method, measured):
        asked.append((method, measured))
        return decode(self, latent, frame, method=method, measured=measured)

    monkeypatch.setattr("tpl.chapters.tables.protocol_study.PROTOCOLS", FEW[:1])
    monkeypatch.setattr("tpl.study.trained.Trained.decode", listen)
    measure_category(replace(bench, resolution=18), ENCODER)
    assert asked == [(ENCODER, True)] * 2


def test_what_is_missing_or_strange_is_named(bench, tmp_path):
    file = protocols_file(replace(bench, runs=tmp_path).of("chairs"), "test")
    with pytest.raises(
        ResultsError, match=r"no measurements at .*protocols/chairs_test.csv; .*run `tpl run 07_tables`"
    ):
        read_protocols([file])
    file.parent.mkdir(parents=True)
    file.write_text("a,b\n1,2\n")
    with pytest.raises(ResultsError, match="holds no measurements by protocol: delete it"):
        read_protocols([file])


def make_rows(distances, category="chairs"):
    """Rows of distances by protocol: {name: [of each shape]}."""
    factor = {protocol.name: protocol.factor for protocol in PROTOCOLS}
    rows = [
        dict.fromkeys(PROTOCOL_COLUMNS, "")
        | dict(category=category, shape_id=f"s{place}", protocol=name, distance=value)
        | dict(floor=0.001, factor=factor[name])
        for name, values in distances.items()
        for place, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_the_table_is_in_printed_numbers_with_the_ratio_to_this_books():
    rows = make_rows(
        {"this book": [0.001, 0.002, 0.006], "DISN": [0.004, 0.002, 0.012], "Occupancy Networks": [0.3] * 3}
    )
    table = protocol_table(rows).set_index("protocol")
    assert table.loc["this book", ["mean", "median", "floor", "x this book's"]].tolist() == [
        "3.00",
        "2.00",
        "1.000",
        "1.00",
    ]
    assert table.loc["DISN", ["mean", "median", "x this book's"]].tolist() == ["6.00", "4.00", "2.00"]
    assert table.loc["Occupancy Networks", ["mean", "floor", "x this book's"]].tolist() == ["3.00", "0.010", "1.00"]
    # Of 3 pairs DISN turns one round; ties of the last one are half a pair each.
    assert table["pairs in order"].to_dict() == {"this book": "", "DISN": "67%", "Occupancy Networks": "50%"}


def test_a_sentence_says_the_ratios_and_the_order_of_its_category():
    rows = make_rows({"this book": [0.001, 0.002, 0.006], "DISN": [0.004, 0.002, 0.012]})
    (sentence,) = protocol_sentences(protocol_table(rows))
    assert sentence.startswith("**chairs**: where this book's protocol says 1, ") and "have 2.00 by DISN;" in sentence
    assert sentence.endswith("pairs of shapes that keep their order: 67% by DISN.")
    (alone,) = protocol_sentences(protocol_table(make_rows({"this book": [0.001], "DISN": [0.003]})))
    assert alone.endswith("3.00 by DISN.")


def test_a_failure_counts_as_the_worst_and_the_books_own_row_has_what_chance_alone_does():
    rows = make_rows({"this book": [0.001, np.nan, 0.006]})
    again = pd.Series([0.0012, np.nan, 0.006], pd.MultiIndex.from_tuples([("chairs", f"s{n}") for n in range(3)]))
    (row,) = protocol_table(rows, again).to_dict("records")
    assert row["mean"] == f"{(1 + 6 + 6) / 3:.2f}" and row["pairs in order"] == "83%"  # a tie: 2.5 of 3


def test_pairs_in_order_of_equal_reversed_and_tied_lists():
    values = pd.Series([1.0, 2.0, 3.0, 4.0], list("abcd"))
    assert pairs_in_order(values, values[::-1]) == 1.0  # by their names, not by their places
    assert pairs_in_order(values, -values) == 0.0
    assert pairs_in_order(values, values * 0) == 0.5
    assert np.isnan(pairs_in_order(values[:1], values[:1]))


def test_lines_of_ranks_go_from_protocol_to_protocol():
    rows = make_rows({"this book": [0.3, 0.1, 0.2], "DISN": [0.1, 0.3, 0.2]})
    _, ax = plt.subplots()
    plot_ranks(ax, rows)
    assert [line.get_ydata().tolist() for line in ax.get_lines()] == [[3, 1], [1, 3], [2, 2]]
    bottom, top = ax.get_ylim()
    assert bottom > top  # the best at the top
    plt.close("all")


def test_other_code_measures_anew_and_other_words_do_not(bench, monkeypatch, edit_code):
    monkeypatch.setattr("tpl.chapters.tables.protocol_study.PROTOCOLS", FEW[:1])
    stamp = measure_category(bench, ENCODER).stat().st_mtime_ns
    edit_code("tpl.evaluation.protocols")
    edit_code("tpl.look.plotting", "WIDTH = 7")
    assert measure_category(bench, ENCODER).stat().st_mtime_ns == stamp
    edit_code("tpl.evaluation.protocols", "CELLS = 7")
    assert measure_category(bench, ENCODER).stat().st_mtime_ns > stamp
