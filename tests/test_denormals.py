"""Numbers near zero: flushed while something trains, as they were before and after."""

import numpy as np
import pytest
import torch

from tpl.training.denormals import denormals_flushed, flushed_denormals


def product() -> float:
    """A denormal number by torch's kernels; 0 where they flush it."""
    return float((torch.full((64,), 1e-30) * 1e-10).max())


def test_they_are_zero_within_and_numbers_before_and_after():
    assert product() > 0 and not denormals_flushed()
    with flushed_denormals():
        assert product() == 0 and denormals_flushed()
        with flushed_denormals():
            assert product() == 0
        assert product() == 0  # as it was when the inner one began
    assert product() > 0
    assert np.float32(1e-30) * np.float32(1e-10) > 0


def test_they_are_numbers_again_after_an_error():
    with pytest.raises(RuntimeError, match="as if"), flushed_denormals():
        raise RuntimeError("as if a training had failed")
    assert product() > 0
