"""What is too large for memory is refused before anything begins, and named where it is found out later."""

import re

import pytest
import torch

from tpl.settings import SettingsError
from tpl.study import trainings
from tpl.study.sizes import check_sizes, enough_memory
from tpl.training import contrastive_config, embedding_config, end_to_end_config, regression_config

GB = 10**9
MAKERS = (embedding_config, regression_config, contrastive_config, end_to_end_config)


@pytest.mark.parametrize("make", MAKERS)
def test_the_papers_sizes_fit_into_a_laptop(make):
    check_sizes(make("paper"), 8 * GB)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (
            embedding_config(model=dict(latent_dim=1_000_000)),
            "model.latent_dim = 1000000 is refused: it must be at most",
        ),
        (
            embedding_config(model=dict(warp_steps=10**9)),
            "model.warp_steps = 1000000000 is refused: it must be at most",
        ),
        (embedding_config(points_per_shape=10**11), "points_per_shape = 100000000000 is refused"),
        (regression_config(epochs=10**26), f"epochs = {10**26} is refused: it must be at most 1,000,000,000"),
        (
            embedding_config(model=dict(latent_dim=60_000, warp_hidden=50_000)),
            "GB of memory at least, and there are 8: lower model.latent_dim = 60000 or model.warp_hidden = 50000",
        ),
        (embedding_config(points_per_shape=10**8), "and there are 8: lower points_per_shape = 100000000"),
        (contrastive_config(encoder=dict(width=60_000)), "and there are 8: lower encoder.width = 60000"),
    ],
)
def test_what_no_machine_can_do_is_refused_by_its_name(config, told):
    with pytest.raises(SettingsError, match=re.escape(told)):
        check_sizes(config, 8 * GB)


def test_weights_alone_are_counted_with_what_learns_them():
    """A warp of h hidden numbers has four gates of h x (h + input); with gradient and two moments 16 bytes each."""
    hidden = 20_000
    config = embedding_config(points_per_shape=1, model=dict(warp_hidden=hidden, latent_dim=1, template_hidden=1))
    check_sizes(config, int(1.02 * 16 * 4 * hidden**2))
    with pytest.raises(SettingsError, match="this training needs 26 GB of memory at least"):
        check_sizes(config, 16 * 4 * hidden**2)


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("CUDA"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_a_training_that_runs_out_of_memory_names_its_largest_setting(error):
    with pytest.raises(
        SettingsError, match="memory than there is: lower points_per_shape = 9000; what was finished is"
    ):
        with enough_memory(embedding_config(points_per_shape=9000)):
            raise error


def test_other_errors_pass():
    error = RuntimeError("of another kind")
    with pytest.raises(RuntimeError) as met, enough_memory(embedding_config()):
        raise error
    assert met.value is error


def test_phase_1_of_a_category_is_one_of_them(monkeypatch, tmp_path):
    def fail(*given, **options):
        raise MemoryError

    class NoBench:
        category, device, folder, store = "chairs", "cpu", tmp_path, None

        def shapes(self, split):
            return []

    bench = NoBench()
    monkeypatch.setattr(trainings, "SDFTable", type("Table", (), {"read": staticmethod(lambda *given: None)}))
    monkeypatch.setattr(bench.__class__, "store", type("Store", (), {"fingerprint": staticmethod(lambda *given: "")}))
    monkeypatch.setattr(trainings, "train_embedding", fail)
    with pytest.raises(SettingsError, match="needs more memory than there is: lower shapes_per_batch = 48"):
        trainings.embed_category.__wrapped__(bench, embedding_config(shapes_per_batch=48))
