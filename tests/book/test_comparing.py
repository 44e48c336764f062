"""Two runs beside each other: what differs is told, what one lacks is said, and equal runs have nothing to tell."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tpl.book.book import BookError
from tpl.book.comparing import compare_runs, write_comparison
from tpl.evaluation import write_results

SHAPES = [f"shape {number}" for number in range(6)]


def write_run(folder, epochs=300, better=0.0, shapes=SHAPES, seconds=10.0):
    """A run of two trainings, judged by two methods; the second method's distances are smaller by a share."""
    for category in ("chairs", "sofas"):
        place = folder / category / "encoder"
        place.mkdir(parents=True)
        config = {"data": "a1", "epochs": epochs, "encoder": {"width": 16}}
        (place / "config.json").write_text(json.dumps(config))
        (place / "run.json").write_text(json.dumps({"seconds": seconds, "device": "a CPU"}))
        pd.DataFrame({"step": [1, 2, 3], "latent": [0.3, 0.2, 0.1]}).to_csv(place / "history.csv", index=False)
    rows = [
        dict(
            zip(("category", "split", "shape_id", "family"), ("chairs", "test", shape, "a"), strict=True),
            view=view,
            method=method,
            chamfer=(0.01 + 0.001 * number) * (1 - better * (method == "encoder")),
            chamfer_clean=0.01,
            f_score=0.5,
            normal_consistency=0.5,
            seconds=0.1,
            reason="",
        )
        for number, shape in enumerate(shapes)
        for method, view in (("encoder", "fix"), ("mean shape", "-"))
    ]
    write_results(folder / "results" / "chairs_test.csv", rows, "a protocol", 0, folder.name)
    parameters = {"epochs": epochs, "category": "all"}
    entry = {"parameters": parameters, "seconds": 2 * seconds, "finished": "now"}
    (folder / "book").mkdir()
    (folder / "book" / "manifest.json").write_text(json.dumps({"chapters": {"04_encoder": entry}}))
    return folder


@pytest.fixture
def first(tmp_path):
    return write_run(tmp_path / "first")


def test_settings_and_results_that_differ_are_told_and_no_others(tmp_path, first):
    second = write_run(tmp_path / "second", epochs=30, better=0.5, seconds=100.0)
    found = compare_runs(first, second)
    assert found.settings.to_numpy().tolist() == [["epochs", "encoder (chairs, sofas)", "300", "30"]]
    assert found.parameters.to_numpy().tolist() == [["04_encoder", "epochs", 300, 30]]
    (row,) = found.results.to_numpy().tolist()
    low, high = (float(text) for text in row[8].split(" to "))
    assert row[:8] == ["chairs", "test", "encoder", "fix", "6", "12.500", "6.250", "-6.250"] and row[9] == "better"
    assert low < -6.25 < high < 0
    assert "Of 2 means of the results 1 are the same." in found.notes
    assert found.seconds.iloc[:, 1:].to_numpy().tolist()[0] == ["10", "100", "10.00"]
    text = found.text()
    assert "width" not in text and re.search(r"epochs +encoder \(chairs, sofas\) +300 +30", text)


def test_of_two_equal_runs_nothing_differs(tmp_path, first):
    found = compare_runs(first, write_run(tmp_path / "second"))
    assert found.tables == {}
    assert found.text() == "No setting differs.\n\nOf 2 means of the results 2 are the same."


def test_a_failure_counts_as_the_worst_of_both(tmp_path, first):
    second = write_run(tmp_path / "second")
    file = second / "results" / "chairs_test.csv"
    rows = pd.read_csv(file, dtype=str, keep_default_na=False)
    rows.loc[0, ["chamfer", "chamfer_clean", "reason"]] = ("", "", "empty")
    rows.to_csv(file, index=False)
    (row,) = compare_runs(first, second).results.to_numpy().tolist()
    assert row[5:8] == ["12.500", "13.333", "+0.833"]  # 15 instead of 10 for one of six


def test_other_shapes_have_no_paired_difference(tmp_path, first):
    second = write_run(tmp_path / "second", better=0.5, shapes=SHAPES[:4])
    row = compare_runs(first, second).results.to_numpy().tolist()[0]
    assert row[4] == "6 and 4" and row[8:] == ["", "other shapes"]


def test_what_one_of_them_lacks_is_said(tmp_path, first):
    second = write_run(tmp_path / "second")
    (second / "results" / "chairs_test.csv").unlink()
    (second / "book" / "manifest.json").unlink()
    (second / "sofas" / "encoder").rename(second / "sofas" / "encoder.1")  # as a training that was set aside
    found = compare_runs(first, second)
    assert found.notes == [
        f"There are no results in {second}.",
        f"Only in {first}, trainings: encoder (sofas).",
        f"Only in {first}, chapters: 04_encoder.",
    ]


def test_a_page_needs_no_other_file_and_a_figure_is_a_picture(tmp_path, first):
    second = write_run(tmp_path / "second", epochs=30, better=0.5)
    found = compare_runs(first, second)
    write_comparison(found, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "<td>encoder (chairs, sofas)</td>" in page and "data:image/png;base64," in page
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)
    write_comparison(found, tmp_path / "figure.png")
    assert np.asarray(Image.open(tmp_path / "figure.png").convert("L")).min() < 100


def test_without_results_the_figure_shows_learning_curves(tmp_path, first):
    second = write_run(tmp_path / "second", epochs=30)
    write_comparison(compare_runs(first, second), tmp_path / "figure.svg")
    assert "chairs/encoder" in (tmp_path / "figure.svg").read_text()


def test_what_is_no_run_or_no_file_is_refused_in_one_sentence(tmp_path, first):
    with pytest.raises(BookError, match="no run in .*nowhere: there are neither trainings nor results"):
        compare_runs(first, tmp_path / "nowhere")
    with pytest.raises(BookError, match="are the same folder: name two runs"):
        compare_runs(first, first / ".." / "first")
    found = compare_runs(first, write_run(tmp_path / "second"))
    with pytest.raises(BookError, match="a comparison is written as .html, .png or .svg or .pdf"):
        write_comparison(found, tmp_path / "figure.txt")


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "\xff"])
@pytest.mark.parametrize("name", ["chairs/encoder/config.json", "chairs/encoder/run.json", "book/manifest.json"])
def test_a_broken_file_of_a_run_is_named(tmp_path, first, name, text):
    second = write_run(tmp_path / "second")
    (second / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(BookError, match=f"{second / name} cannot be read"):
        compare_runs(first, second)


def test_a_training_that_does_not_say_how_long_it_took_is_named(tmp_path, first):
    second = write_run(tmp_path / "second")
    (second / "sofas" / "encoder" / "run.json").write_text("{}")
    with pytest.raises(BookError, match="sofas/encoder/run.json cannot be read .*: move .* away and train anew"):
        compare_runs(first, second)


def test_a_broken_curve_of_a_run_is_named(tmp_path, first):
    second = write_run(tmp_path / "second", epochs=30)
    for folder in (first, second):
        (folder / "results" / "chairs_test.csv").unlink()
    (second / "chairs" / "encoder" / "history.csv").write_text("")
    with pytest.raises(BookError, match="history.csv cannot be read as a learning curve"):
        write_comparison(compare_runs(first, second), tmp_path / "figure.png")
