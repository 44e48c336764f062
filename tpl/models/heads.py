"""The small networks on top of a trunk while it learns by contrast; both are dropped afterwards."""

from torch import nn

PROJECTED = 128
"""Numbers in a projection."""


def projection_head(features: int = 512) -> nn.Sequential:
    """From a trunk's features to where views are compared: Linear 512-512, ReLU, Linear 512-128.

    Source: Chen et al. 2020 (SimCLR), section 2.1.
    """
    return nn.Sequential(nn.Linear(features, features), nn.ReLU(), nn.Linear(features, PROJECTED))


def predictor(hidden: int = 512) -> nn.Sequential:
    """From one view's projection to a guess at the other's: the part that BYOL's target network lacks.

    Source: Grill et al. 2020 (BYOL), section 3.3.
    """
    return nn.Sequential(nn.Linear(PROJECTED, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, PROJECTED))
