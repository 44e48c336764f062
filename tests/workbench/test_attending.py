"""What is seen of trainings: their meshes are those of their networks, and drawing holds nothing up."""

import io
import time
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from tpl.book.book import Book
from tpl.dataset.collection import CollectionConfig, open_collection
from tpl.dataset.prepare import PrepareConfig
from tpl.geometry.marching import extract_mesh
from tpl.inference import encode
from tpl.study.bench import Bench
from tpl.study.methods import ENCODER, ENCODERS, END_TO_END
from tpl.study.trainings import embed_category, end_to_end_category, regress_category
from tpl.training import RunError, load_embedding
from tpl.training import budget as budget_module
from tpl.training.presets import embedding_config, end_to_end_config, regression_config
from tpl.watching import Stopped, Told, watched
from tpl.workbench import attending
from tpl.workbench.attending import Attendant, Panel, curves
from tpl.workbench.choices import Choices
from tpl.workbench.learning import Learning

ROOT = Path(__file__).parents[2]
LAST = dict(outputs="last", pointpair_weight=0.0, warp_rate=5e-3, template_rate=5e-3, cross_share=0.0, precision="fp32")


@pytest.fixture(scope="module")
def watched_trainings(tmp_path_factory):
    """The trainings of a tiny run, as whoever watched saw them last, and the bench that they were done on."""
    folder = tmp_path_factory.mktemp("watched")
    amounts = PrepareConfig(sdf_samples=1000, surface_points=2000, easy_views=2, hard_views=1, image_size=32)
    config = CollectionConfig(train=2, coded=2, validation=1, test=1, prepare=amounts)
    collection = open_collection(folder / "data", ["chairs"], config, jobs=1)
    bench = Bench(folder / "runs", collection, ("chairs",), resolution=16)
    model = dict(latent_dim=4, warp_hidden=8, warp_steps=2, template_hidden=16, template_layers=2, dropout=0.0)
    sizes = dict(epochs=150, shapes_per_batch=2, points_per_shape=64, code_rate=1e-2)
    phase_2 = regression_config(encoder=dict(latent_dim=4, width=8), epochs=2, views_per_batch=2, precision="fp32")
    whole = dict(decoder_start="embedding", encoder=dict(width=8), views_per_batch=2, points_per_view=64, epochs=4)
    with watched() as watcher:
        watcher.ask_for_networks()
        embed_category(bench, embedding_config(model=model, **sizes, **LAST))
        regress_category(bench, phase_2)
        end_to_end_category(bench, end_to_end_config(**whole, **LAST))
        yield bench, {told.label.partition(", ")[2]: told for told in watcher.stages()}


def learning(bench: Bench, told: Told) -> Learning:
    found = Learning(Path(told.about["folder"]), told.about["objective"], bench.collection, "chairs")
    assert found.refresh(told.networks)
    assert not found.refresh(told.networks)  # it is as it was
    return found


def test_a_training_shape_is_decoded_as_the_finished_training_decodes_it(watched_trainings):
    bench, stages = watched_trainings
    found, run = learning(bench, stages["embedding"]), load_embedding(bench.folder / "embedding")
    assert found.image(0) is None and len(found.shapes) == 2
    for number in range(2):
        mesh, own = found.mesh(number, 16), extract_mesh(run.model.shape(run.codes[number]), 16)
        assert mesh is not None
        np.testing.assert_array_equal(mesh.faces, own.faces)
        np.testing.assert_allclose(mesh.vertices, own.vertices, atol=1e-6)


@pytest.mark.parametrize("method", [ENCODER, END_TO_END])
def test_a_view_is_reconstructed_as_the_finished_training_does_it(watched_trainings, method):
    bench, stages = watched_trainings
    found, arm = learning(bench, stages[method]), ENCODERS[method].load(bench.folder, "cpu")
    image, mesh = found.image(0), found.mesh(0, 16)
    assert image is not None and [shape.split for shape in found.shapes] == ["validation"]
    own = extract_mesh(arm.model.shape(encode(arm.encoder, image[None])[0]), 16)
    assert mesh is not None
    np.testing.assert_allclose(mesh.vertices, own.vertices, atol=1e-6)


def test_what_learns_no_shapes_is_said_to(watched_trainings):
    bench, stages = watched_trainings
    folder = Path(stages["embedding"].about["folder"])
    with pytest.raises(RunError, match="learns no shapes"):
        Learning(folder, "ContrastiveObjective", bench.collection, "chairs")


def test_the_panel_shows_lines_curves_and_a_mesh(watched_trainings, monkeypatch):
    bench, stages = watched_trainings
    told = list(stages.values())

    with watched() as watcher:
        monkeypatch.setattr(watcher, "stages", lambda: told)
        panel = Panel(watcher, bench.collection.folder)
        with panel.drawing():
            panel.draw()
    assert all(label in panel.lines.value for label in ("chairs, embedding", "points/s", "images/s"))
    assert panel.learnt.which.options == tuple(stage.label for stage in told)
    assert panel.learnt.live.mesh.visible
    width, height = Image.open(io.BytesIO(panel.curves.value)).size
    assert (width, height) == (3 * attending.PANEL, 240)


def test_curves_have_their_size_in_the_books_style_too(watched_trainings):
    stages = watched_trainings[1]
    with plt.rc_context({"savefig.dpi": 160}):
        assert Image.open(io.BytesIO(curves([stages["embedding"]]))).width == attending.PANEL


def slow_training(bench: Bench) -> str:
    model = dict(latent_dim=4, warp_hidden=8, warp_steps=2, template_hidden=16, template_layers=2, dropout=0.0)
    config = embedding_config(model=model, epochs=4000, shapes_per_batch=2, points_per_shape=64, **LAST)
    return str(embed_category(bench, config, "embedding_long"))


def test_a_cell_waits_when_it_was_stopped_and_goes_on_or_ends(watched_trainings, monkeypatch):
    bench, threads = watched_trainings[0], torch.get_num_threads()
    monkeypatch.setattr(budget_module, "LOOKED_EVERY", 0.0)
    shown: list[Panel] = []
    answers = iter([True, False])

    class Answering(Panel):
        def draw(self, whole: bool = False) -> float:
            if not whole:
                self._ask_to_stop()
            return super().draw(whole)

        def shall_go_on(self, stopped: Stopped) -> bool:
            shown.append(self)
            wanted = next(answers)
            self._answer(wanted)
            self._answered.clear = lambda: None  # the answer is there before the question
            return super().shall_go_on(stopped)

    monkeypatch.setattr(attending, "Panel", Answering)
    monkeypatch.setattr(attending, "display", lambda widget: None)

    choices = Choices(Book(ROOT), "03")
    monkeypatch.setattr(attending, "at_root", lambda: None)
    with watched() as watcher, pytest.raises(Stopped):
        Attendant(watcher, choices)(partial(slow_training, bench))
    assert not (bench.folder / "embedding_long" / "run.json").exists()
    assert len(shown) == 2
    assert torch.get_num_threads() == threads


def test_drawing_keeps_to_its_share(watched_trainings, monkeypatch):
    """What is dear is drawn again only when its share of the time has come."""
    bench, stages = watched_trainings
    told, drawn = list(stages.values()), []

    def slow(trainings):
        drawn.append(time.thread_time())
        while time.thread_time() - drawn[-1] < 0.05:
            pass
        return b""

    monkeypatch.setattr(attending, "curves", slow)
    monkeypatch.setattr(attending.LearntMesh, "draw", lambda self, trainings: None)
    with watched() as watcher:
        monkeypatch.setattr(watcher, "stages", lambda: told)
        panel = Panel(watcher, bench.collection.folder)
        panel.began()
        start = time.perf_counter()
        while time.perf_counter() - start < 2.0:
            panel.draw()
            time.sleep(0.01)
    assert 1 <= len(drawn) <= 1 + 2.5 * attending.BUDGET / 0.05
