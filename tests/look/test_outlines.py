import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.contour import ContourSet

from tpl.look.outlines import AFTER, BEFORE, plot_outlines
from tpl.look.plotting import use_style


@pytest.fixture
def axes():
    with matplotlib.rc_context():
        use_style()
        figure, axes = plt.subplots(1, 3, dpi=50)
        yield axes
        figure.canvas.draw()
        plt.close(figure)


def disc(radius: float, size: int) -> np.ndarray:
    y, x = (np.mgrid[:size, :size] + 0.5) / size - 0.5
    return np.hypot(x, y) - radius


def radius_of(ax, color: str, side: float) -> float:
    (lines,) = [c for c in ax.collections if matplotlib.colors.same_color(c.get_edgecolor()[0], color)]
    vertices = np.concatenate([path.vertices for path in lines.get_paths()])
    return float(np.linalg.norm(vertices / side - 0.5, axis=1).mean())


def test_both_outlines_lie_where_the_picture_has_them(axes):
    pictures = [np.full((32, 32, 3), 120, np.uint8), np.full((200, 200, 4), 90, np.uint8)]
    plot_outlines(axes, pictures, [disc(0.2, 64)] * 2, [disc(0.3, 50)] * 2, captions=["one", "two"])
    for ax, side in zip(axes, (32, 200), strict=False):
        assert radius_of(ax, BEFORE, side) == pytest.approx(0.2, abs=0.003)
        assert radius_of(ax, AFTER, side) == pytest.approx(0.3, abs=0.003)
    assert [ax.get_title() for ax in axes] == ["one", "two", ""]
    assert not axes[2].images
    (legend,) = axes[0].figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["start", "refined"]


def test_a_shape_that_is_not_in_the_picture_has_no_outline(axes):
    plot_outlines(axes, [np.zeros((32, 32, 3), np.uint8)], [np.ones((8, 8))], [disc(0.3, 50)])
    assert len([c for c in axes[0].collections if isinstance(c, ContourSet)]) == 1


def test_outlines_that_do_not_fit_are_refused(axes):
    picture, grid = np.zeros((32, 32, 3), np.uint8), disc(0.2, 8)
    with pytest.raises(ValueError, match="1 pictures, 2 and 1 outlines: give one of each"):
        plot_outlines(axes, [picture], [grid, grid], [grid])
    with pytest.raises(ValueError, match="4 pictures do not fit into 3 places"):
        plot_outlines(axes, [picture] * 4, [grid] * 4, [grid] * 4)
    with pytest.raises(ValueError, match="2 captions for 1 pictures"):
        plot_outlines(axes, [picture], [grid], [grid], captions=["a", "b"])
