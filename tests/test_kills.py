"""Trainings ended at a random moment leave what others do; `python tests/kills.py 40` tries more, and every phase."""

import kills
import numpy as np
import pandas as pd
import pytest


@pytest.mark.parametrize("phase", ["phase 2", "end to end"])
def test_a_training_ended_at_a_random_moment_leaves_the_same_bits(phase, tmp_path):
    kills.compare(phase, tmp_path, 1, np.random.default_rng().integers(2**31))


def test_what_differs_is_seen(tmp_path):
    """So that the comparison can fail."""
    for name, loss in (("one", 0.5), ("other", 0.25)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"weights")
        (folder / "config.json").write_text("{}")
        pd.DataFrame({"step": [1], "seconds": [loss], "loss": [loss]}).to_csv(folder / "history.csv")
    one, other = (kills.left(tmp_path / name) for name in ("one", "other"))
    assert one != other and one[0] == other[0]
