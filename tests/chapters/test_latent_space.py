"""Codes of views with the right labels, and numbers about them with known answers."""

from copy import copy, deepcopy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from tpl.chapters.latent_space.measures import (
    LatentSpaceError,
    ViewCodes,
    azimuth_bins,
    camera_table,
    elevation_bins,
    embed_views,
    first_shapes,
    interpolate,
    interpolated_meshes,
    kind_of,
    known_encoders,
    mean_by_bin,
    probe_kinds,
    score_all_views,
    view_codes,
    view_invariance,
)
from tpl.dataset.collection import CollectionConfig, open_collection
from tpl.dataset.prepare import PrepareConfig
from tpl.evaluation.rows import POINTS
from tpl.geometry.marching import sample_mesh
from tpl.inference import Reconstructor
from tpl.metrics import chamfer_distance
from tpl.models import Encoder, EncoderConfig
from tpl.rendering import Camera
from tpl.study.bench import Bench
from tpl.study.methods import ENCODER, END_TO_END
from tpl.study.trained import Trained
from tpl.study.trainings import embed_category
from tpl.training.presets import embedding_config

EASY, HARD = 12, 11  # more than ten: in an order by letters, view 10 comes before view 2
KINDS = {"easy": 0, "hard": 1}


class ReadsPaint(Encoder):
    """Its code is what the image says: the numbers of shape, view and kind, painted in red, green and blue."""

    def forward(self, images):
        return torch.cat([255 * images.mean(dim=(2, 3)), images[:, :1, 0, 0]], dim=1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Four chairs with a phase 1, and views that are painted over with their own labels."""
    folder = tmp_path_factory.mktemp("latent")
    amounts = PrepareConfig(sdf_samples=1000, surface_points=2000, easy_views=1, hard_views=1, image_size=8)
    config = CollectionConfig(train=2, coded=2, validation=1, test=1, prepare=amounts)
    collection = open_collection(folder / "data", ["chairs"], config, jobs=1)
    for number, shape in enumerate(collection.listed("chairs")):
        for kind, count in (("easy", EASY), ("hard", HARD)):
            images = np.zeros((count, 8, 8, 4), np.uint8)
            images[..., 0], images[..., 2], images[..., 3] = number, KINDS[kind], 255
            images[..., 1] = np.arange(count)[:, None, None]
            cameras = [Camera(10 * view + number, 20 + KINDS[kind], 1 + view) for view in range(count)]
            collection.store.write_views(shape, kind, images, cameras)
    model = dict(latent_dim=4, warp_hidden=8, warp_steps=2, template_hidden=16, template_layers=2, dropout=0.0)
    sizes = dict(epochs=150, shapes_per_batch=2, points_per_shape=64, outputs="last", pointpair_weight=0.0)
    rates = dict(warp_rate=5e-3, template_rate=5e-3, code_rate=1e-2, cross_share=0.0, precision="fp32")
    bench = Bench(folder / "runs", collection, ("chairs",), resolution=16, shown_resolution=16)
    embed_category(bench, embedding_config(model=model, **sizes, **rates))
    made = Trained(bench)
    reads = ReadsPaint(EncoderConfig(latent_dim=4, width=8))
    made.arms[ENCODER] = Reconstructor(reads, made.embedding.model, made.embedding.codes)
    return made


def codes_of(table: np.ndarray) -> ViewCodes:
    """Labels for codes that are given as (shapes, views, dim)."""
    shapes, views, dim = table.shape
    cameras = tuple(Camera(30 * view, 10 * shape, 1) for shape in range(shapes) for view in range(views))
    owner, view = np.divmod(np.arange(shapes * views), views)
    return ViewCodes(table.reshape(-1, dim), owner, view, ("easy",) * shapes * views, cameras)


# --- whose code is whose


@pytest.mark.parametrize("kinds", [("easy", "hard"), ("hard", "easy"), ("hard",)])
def test_each_code_bears_the_label_that_its_image_was_painted_with(trained, kinds):
    shapes = trained.bench.collection.listed("chairs")
    chosen = [3, 0, 2]
    views = view_codes(trained, ENCODER, [shapes[number] for number in chosen], kinds)
    painted = views.codes.round().astype(int)
    assert len(painted) == 3 * sum({"easy": EASY, "hard": HARD}[kind] for kind in kinds)
    assert painted[:, 0].tolist() == [chosen[number] for number in views.shape]
    assert painted[:, 1].tolist() == views.view.tolist()
    assert painted[:, 2].tolist() == [KINDS[kind] for kind in views.kind]
    assert [camera.azimuth for camera in views.cameras] == (10 * painted[:, 1] + painted[:, 0]).tolist()
    assert [camera.elevation for camera in views.cameras] == (20 + painted[:, 2]).tolist()
    by_shape = views.by_shape()
    assert by_shape.shape[0] == 3
    assert [set(table[:, 0].round().astype(int)) for table in by_shape] == [{number} for number in chosen]
    table = camera_table(views)
    assert table["azimuth"].tolist() == (10 * painted[:, 1] + painted[:, 0]).tolist()
    assert table[["shape", "view", "kind"]].values.tolist() == [
        list(row) for row in zip(views.shape, views.view, views.kind, strict=True)
    ]


def test_what_is_not_there_is_named(trained):
    shapes = trained.bench.collection.listed("chairs")
    with pytest.raises(
        LatentSpaceError, match=r"no encoder called 'end to end' is trained for chairs .*; there is encoder$"
    ):
        view_codes(trained, "end to end", shapes)
    bare = copy(trained)
    bare.arms = {}
    with pytest.raises(LatentSpaceError, match="no encoder is trained for chairs .*: run chapter 04"):
        known_encoders(bare)
    assert known_encoders(trained) == [ENCODER]
    with pytest.raises(LatentSpaceError, match="no views, or not equally many"):
        view_codes(trained, ENCODER, [])
    with pytest.raises(LatentSpaceError, match=r"20 test chairs asked for, and 1 are prepared in .*: ask for fewer"):
        first_shapes(trained.bench, "test", 20)
    assert [shape.id for shape in first_shapes(trained.bench, "train", 1)] == [shapes[0].id]


def test_shapes_with_different_numbers_of_views_are_refused(trained):
    store, shape = trained.bench.store, trained.bench.collection.listed("chairs")[1]
    images, cameras = np.zeros((2, 8, 8, 4), np.uint8), [Camera(0, 0, 1)] * 2
    store.write_views(shape, "few", images, cameras)
    store.write_views(trained.bench.collection.listed("chairs")[0], "few", images[:1], cameras[:1])
    with pytest.raises(LatentSpaceError, match="not equally many: prepare all of them anew"):
        view_codes(trained, ENCODER, trained.bench.collection.listed("chairs")[:2], ["few"])


def test_the_kind_is_the_first_word_of_the_family(trained):
    shape = trained.bench.collection.listed("chairs")[0]
    assert "-" not in kind_of(shape) and shape.family.startswith(kind_of(shape) + "-")


# --- t-SNE


def clusters(count: int = 6, views: int = 10, spread: float = 0.05) -> np.ndarray:
    rng = np.random.default_rng(1)
    return 3 * rng.normal(size=(count, 1, 8)) + spread * rng.normal(size=(count, views, 8))


def test_clusters_stay_clusters_in_the_plane_and_a_seed_is_a_picture():
    views = codes_of(clusters())
    places = embed_views(views.codes, seed=3)
    apart = np.linalg.norm(places[:, None] - places, axis=-1)
    np.fill_diagonal(apart, np.inf)
    assert np.array_equal(views.shape[apart.argmin(axis=1)], views.shape)
    assert np.array_equal(places, embed_views(views.codes, seed=3))


def test_few_or_equal_codes_have_a_picture_or_a_reason():
    assert np.isfinite(embed_views(np.random.default_rng(0).normal(size=(5, 3)))).all()  # perplexity 30 does not fit
    assert np.array_equal(embed_views(np.ones((6, 3))), np.zeros((6, 2)))
    with pytest.raises(LatentSpaceError, match="at least 4 codes, not 3"):
        embed_views(np.eye(3))


# --- how well views stay together


def test_invariance_by_hand():
    views = codes_of(np.array([[[-3.0], [-1.0]], [[1.5], [3.0]]]))
    found = view_invariance(views)
    assert found.neighbours == 1 and found.chance == pytest.approx(1 / 3)
    assert found.between == pytest.approx(2.125) and found.within == pytest.approx(np.sqrt((2 * 1 + 2 * 0.75**2) / 4))
    mean_other = {-3.0: 5.25, -1.0: 3.25, 1.5: 3.5, 3.0: 5.0}
    own = {-3.0: 2.0, -1.0: 2.0, 1.5: 1.5, 3.0: 1.5}
    assert found.silhouette == pytest.approx(np.mean([1 - own[x] / mean_other[x] for x in own]))


def test_labels_that_have_nothing_to_do_with_codes_are_at_chance():
    codes = np.random.default_rng(0).normal(size=(4, 300, 3))
    found = view_invariance(codes_of(codes))
    assert found.neighbours == pytest.approx(found.chance, abs=0.04) and abs(found.silhouette) < 0.05


@given(scale=st.floats(0.01, 100), seed=st.integers(0, 20))
@settings(max_examples=20, deadline=None)
def test_scaling_turning_and_moving_all_codes_changes_the_unit_only(scale, seed):
    table = clusters(4, 5, 2.0)
    moved = scale * (table @ ortho_group.rvs(8, random_state=seed)) + 3
    one, other = view_invariance(codes_of(table)), view_invariance(codes_of(moved))
    assert (other.neighbours, other.chance) == (one.neighbours, one.chance)
    assert other.silhouette == pytest.approx(one.silhouette)
    assert (other.within, other.between) == pytest.approx((scale * one.within, scale * one.between))
    assert camera_table(codes_of(moved))["error"].tolist() == pytest.approx(
        camera_table(codes_of(table))["error"].tolist()
    )


def test_one_shape_or_one_view_each_has_no_silhouette():
    assert np.isnan(view_invariance(codes_of(clusters(1, 4))).silhouette)
    single = view_invariance(codes_of(clusters(4, 1)))
    assert np.isnan(single.silhouette) and single.chance == 0 and single.neighbours == 0 and single.within == 0
    assert camera_table(codes_of(clusters(1, 4)))["error"].isna().all()  # there is no spread between shapes
    with pytest.raises(LatentSpaceError, match="a single code has no neighbour"):
        view_invariance(codes_of(clusters(1, 1)))


# --- by camera


def test_sectors_of_azimuth_go_round():
    degrees = np.array([0.0, 14.9, 345.1, 359.9, 360.0, -14.9, 15.0, 90.0, 344.9, 180.0, 720.0, -1e-20])
    assert azimuth_bins(degrees).tolist() == [0, 0, 0, 0, 0, 0, 1, 3, 11, 6, 0, 0]
    assert azimuth_bins(np.array([44.0, 46.0, 316.0, 314.0]), bins=4).tolist() == [0, 1, 0, 3]


@given(azimuth=st.floats(-720, 720), bins=st.integers(1, 60))
def test_a_whole_turn_changes_no_sector_and_each_is_in_range(azimuth, bins):
    (first,) = azimuth_bins(np.array([float(azimuth)]), bins)
    assert 0 <= first < bins
    middle = first * 360 / bins
    assert abs((azimuth - middle + 180) % 360 - 180) <= 180 / bins + 1e-6


def test_elevations_count_from_edge_to_edge():
    assert elevation_bins(np.array([0.0, 9.99, 10.0, 20.0, 44.0, 45.0]), (0, 10, 20, 45)).tolist() == [0, 0, 1, 2, 2, 2]
    with pytest.raises(ValueError, match="elevation 46 lies beyond 0 to 45 degrees; move the outer edges"):
        elevation_bins(np.array([3.0, 46.0]), (0, 45))


def test_means_by_bin_leave_out_failures_and_empty_bins():
    means = mean_by_bin(np.array([1.0, 3.0, np.nan, 5.0]), np.array([0, 0, 0, 2]), 4)
    assert means[[0, 2]].tolist() == [2, 5] and np.isnan(means[[1, 3]]).all()


def test_the_error_of_a_view_is_its_distance_to_the_mean_over_the_spread_of_shapes():
    table = camera_table(codes_of(np.array([[[1.0, 0], [3, 0]], [[-2.0, 3], [-2, -3]]])))
    assert table["error"].tolist() == pytest.approx([0.5, 0.5, 1.5, 1.5])
    assert table["azimuth"].tolist() == [0, 30, 0, 30] and table["elevation"].tolist() == [0, 0, 10, 10]


def test_scores_of_views_stand_beside_their_cameras(trained):
    shapes = trained.bench.shapes("coded")
    codes = trained.embedding.codes
    asked = codes.cpu().numpy()[
        np.array([[0, 1, 0], [1, 1, 1]])
    ]  # three views of each of two shapes, one of them misread
    rows = score_all_views(trained, ENCODER, shapes[:1], codes_of(asked))
    assert rows["shape"].tolist() == [0, 0, 0] and rows["azimuth"].tolist() == [0, 30, 60]
    store = trained.bench.store
    frame, surface = store.read_normalization(shapes[0]), store.read_surface(shapes[0])
    points = [sample_mesh(trained.decode(code, frame), POINTS, np.random.default_rng(5))[0] for code in codes]
    own, other = (chamfer_distance(cloud, surface) for cloud in points)
    assert rows["chamfer"].tolist() == pytest.approx([own, other, own], rel=0.03)
    assert rows["relative"].tolist() == pytest.approx((rows["chamfer"] / rows["chamfer"].median()).tolist())


# --- between two codes


def test_a_path_is_straight_even_and_has_both_ends():
    first, second = torch.randn(2, 7, generator=torch.Generator().manual_seed(0))
    path = interpolate(first, second, 5)
    assert torch.equal(path[0], first) and torch.equal(path[-1], second)
    torch.testing.assert_close(path.diff(dim=0), ((second - first) / 4).expand(4, 7))
    with pytest.raises(LatentSpaceError, match="a path of 1 steps"):
        interpolate(first, second, 1)


def test_the_ends_of_a_path_of_meshes_are_the_meshes_of_the_codes(trained):
    first, second = trained.embedding.codes
    meshes = interpolated_meshes(trained, first, second, 3)
    assert list(meshes) == ["0% of the way", "50% of the way", "100% of the way"]
    start, middle, end = meshes.values()
    for mesh, code in ((start, first), (middle, (first + second) / 2), (end, second)):
        assert mesh is not None and np.allclose(mesh.vertices, trained.decode(code).vertices, atol=1e-6)
    assert not np.array_equal(start.vertices, end.vertices)


def test_a_path_between_codes_of_an_arm_goes_through_its_own_decoder(trained):
    """The arm's decoder is phase 1's with all distances a little smaller, so its shapes are larger."""
    larger = deepcopy(trained.embedding.model)
    with torch.no_grad():
        larger.template.last.bias -= 0.05
    both = copy(trained)
    both.arms = {**trained.arms, END_TO_END: Reconstructor(trained.arms[ENCODER].encoder, larger, torch.zeros(0, 4))}
    both._weights = {**trained._weights, "end_to_end": "the larger one"}
    first, second = trained.embedding.codes
    of_arm = interpolated_meshes(both, first, second, 2, END_TO_END)
    of_phase_1 = interpolated_meshes(both, first, second, 2)
    for mine, other in zip(of_arm.values(), of_phase_1.values(), strict=True):
        assert mine is not None and other is not None and mine.volume > 1.02 * other.volume


# --- what can be read from a code


def test_a_kind_that_is_in_the_code_is_read_and_one_that_is_not_is_guessed():
    rng = np.random.default_rng(0)
    kinds = np.array(["stool"] * 40 + ["sofa"] * 20)
    families = [f"{kind}-{number // 2}" for number, kind in enumerate(kinds)]
    codes = rng.normal(size=(60, 5))
    blind = probe_kinds(codes, kinds.tolist(), families)
    codes[:, 0] = np.where(kinds == "stool", 5, -5)
    seeing = probe_kinds(codes, kinds.tolist(), families)
    assert seeing.linear == 1 and seeing.nearest > 0.9 and seeing.possible == 1 and seeing.shapes == 60
    assert blind.majority == seeing.majority == pytest.approx(2 / 3)
    assert blind.linear < 0.8 and blind.nearest < 0.8


def test_a_variant_of_the_same_design_is_no_help():
    """Codes that know the design and nothing else: right by heart, were the variants not kept apart."""
    rng = np.random.default_rng(0)
    designs = rng.normal(size=(30, 10))
    kinds = np.repeat(rng.permuted(["a", "b"] * 15), 4).tolist()
    families = np.repeat([f"family {number}" for number in range(30)], 4).tolist()
    codes = np.repeat(designs, 4, axis=0) + 1e-3 * rng.normal(size=(120, 10))
    apart = probe_kinds(codes, kinds, families)
    mixed = probe_kinds(codes, kinds, [str(number) for number in range(120)])
    assert mixed.nearest == 1 and apart.nearest < 0.7


def test_a_kind_of_a_single_family_cannot_be_known():
    kinds, families = ["a", "a", "b", "b", "c"], ["a1", "a2", "b1", "b2", "c1"]
    found = probe_kinds(np.array([[0.0], [0.1], [5.0], [5.1], [9.0]]), kinds, families)
    assert found.possible == pytest.approx(4 / 5) and found.nearest == pytest.approx(4 / 5)
    with pytest.raises(LatentSpaceError, match="1 kinds in 2 families: a probe needs two of each"):
        probe_kinds(np.eye(2), ["a", "a"], ["a1", "a2"])
