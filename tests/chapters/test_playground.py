"""A small decoder that is played with: what its controls mean is known, on paper and at the desk."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from playgrounds import small_bench
from scipy.stats import ortho_group

from tpl.chapters.correspondence.figures import PART_COLORS
from tpl.chapters.playground import (
    CLAY,
    CODE,
    DECODER,
    ERROR,
    PART,
    PLACE,
    Desk,
    Painter,
    PlaygroundError,
    State,
    farthest,
    fit_shape,
    fit_table,
    grid_table,
    meshes_of,
    moved,
    open_players,
    size_table,
    watched,
)
from tpl.chapters.playground.figures import snapshot_steps
from tpl.chapters.playground.fitting import Fit
from tpl.chapters.playground.painting import distance_to
from tpl.chapters.playground.playing import FIXED, Player, directions_along, principal_scores
from tpl.chapters.playground.screens import Screen
from tpl.dataset.batches import SDFTable
from tpl.geometry.marching import extract_mesh, sample_mesh
from tpl.inference import mean_code, to_raw
from tpl.look.plotting import CLAY as CLAYS
from tpl.look.plotting import error_colors, position_colors
from tpl.look.scenes import packed_colors
from tpl.settings import SettingsError
from tpl.study.methods import OUR_ENCODER, OUR_PHASE_1, PHASE_1
from tpl.study.trained import LEARNT, Trained
from tpl.training import EmbeddingConfig, RunError

GRID = 16


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return small_bench(tmp_path_factory.mktemp("playground"))


@pytest.fixture(scope="module")
def players(bench):
    return open_players(bench, OUR_PHASE_1, PHASE_1)


@pytest.fixture(scope="module")
def player(players):
    return players["ours"]


@pytest.fixture(scope="module")
def first(player):
    return State(next(iter(player.coded)))


def assert_same(mesh, other):
    np.testing.assert_array_equal(mesh.faces, other.faces)
    np.testing.assert_array_equal(mesh.vertices, other.vertices)


# --- from the controls to a mesh


def test_at_zero_a_shape_is_itself(player, first):
    zero = replace(first, spread=(0.0,) * 4, beside=(0.0, 0.0))
    for row, name in enumerate(player.coded):
        own = to_raw(extract_mesh(player.model.shape(player.codes[row]), GRID), player.frame(State(name)))
        assert_same(player.mesh(replace(zero, shape=name), GRID), own)
        assert torch.equal(player.code(replace(zero, shape=name)), player.codes[row])


def test_the_way_begins_at_the_one_shape_and_ends_at_the_other(player, first):
    other = list(player.coded)[2]
    assert torch.equal(player.code(replace(first, other=other, between=0.0)), player.codes[0])
    assert torch.equal(player.code(replace(first, other=other, between=1.0)), player.codes[2])
    half = player.code(replace(first, other=other, between=0.5))
    torch.testing.assert_close(half, (player.codes[0] + player.codes[2]) / 2)
    assert torch.equal(player.code(replace(first, between=0.7)), player.codes[0])  # towards nothing


def test_before_the_first_step_is_the_template_and_after_the_last_the_whole_decoder(players, first):
    for player in players.values():
        points = np.random.default_rng(0).uniform(-1, 1, (200, 3))
        template = player.model.template_shape()(points)
        np.testing.assert_array_equal(player.sdf(replace(first, step=0))(points), template)
        for row, name in enumerate(player.coded):
            whole = player.model.shape(player.codes[row])(points)
            for step in (None, player.steps, player.steps + 3):
                np.testing.assert_array_equal(player.sdf(State(name, step=step))(points), whole)
            early = player.model.shape(player.codes[row], step=0)(points)
            np.testing.assert_array_equal(player.sdf(State(name, step=1))(points), early)
            assert np.abs(early - whole).max() > 1e-4


def test_the_template_is_cut_where_the_coordinates_beside_space_say(player, first):
    points = np.random.default_rng(0).uniform(-1, 1, (200, 3))
    directions = player.model.ambient_directions()
    cut = player.model.ambient_mean + 1.5 * directions[0] - 0.5 * directions[1]
    shifted = player.sdf(replace(first, step=0, beside=(1.5, -0.5)))(points)
    np.testing.assert_allclose(shifted, player.model.template_shape(cut)(points), atol=1e-6)
    places = player.places(points, replace(first, beside=(1.5, -0.5)))
    unshifted = player.places(points, first)
    np.testing.assert_array_equal(places[:, :3], unshifted[:, :3])
    moved_by = (1.5 * directions[0] - 0.5 * directions[1]).numpy()
    np.testing.assert_allclose(places[:, 3:] - unshifted[:, 3:], np.tile(moved_by, (200, 1)), atol=1e-6)


def test_a_decoder_without_coordinates_beside_space_ignores_them(players, first):
    player, points = players["the paper's"], np.random.default_rng(0).uniform(-1, 1, (50, 3))
    shifted = player.sdf(replace(first, beside=(2.0, 2.0)))(points)
    np.testing.assert_array_equal(shifted, player.sdf(first)(points))
    assert player.slices.shape[0] == 0


def test_the_code_of_a_test_shape_is_what_the_encoder_sees(bench, player):
    shape = bench.shapes("test")[0]
    images = np.concatenate([bench.store.read_views(shape, kind)[0] for kind in ("fixed", "easy", "hard")])
    seen = player.trained.encode(OUR_ENCODER, images)
    views = player.views(shape.id)
    assert views == [FIXED, "easy view 0", "easy view 1", "hard view 0"]
    for view, code in zip(views, seen, strict=True):
        torch.testing.assert_close(player.code(State(shape.id, view)), code)
    torch.testing.assert_close(player.code(State(shape.id)), seen[0])
    coded = next(iter(player.coded))
    assert player.views(coded) == [LEARNT, *views]
    with pytest.raises(PlaygroundError, match=f"no 'learnt code' of {shape.id}; there is fixed view, easy view 0"):
        player.code(State(shape.id, LEARNT))
    with pytest.raises(PlaygroundError, match="no shape 'teapot' to play with; the first ones are chair-0"):
        player.code(State("teapot"))


def test_without_an_encoder_there_are_the_shapes_that_have_a_code(players):
    paper = players["the paper's"]
    assert paper.encoder == "" and list(paper.shapes) == list(paper.coded)
    assert paper.views(next(iter(paper.coded))) == [LEARNT]


# --- directions


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), count=st.integers(1, 6))
def test_directions_are_the_principal_ones_a_standard_deviation_long(seed, count):
    rng = np.random.default_rng(seed)
    codes = torch.from_numpy(rng.normal(size=(12, 5)) * [5, 3, 2, 1, 0.5] + 7).float()
    directions = directions_along(principal_scores(codes, count), codes)
    variances, axes = np.linalg.eigh(np.cov(codes.numpy().T, bias=True))
    known = min(count, 5)
    assert directions.shape == (known, 5)
    np.testing.assert_allclose(directions.norm(dim=1) ** 2, variances[::-1][:known], rtol=1e-3)
    cosines = np.abs(directions.numpy() @ axes[:, ::-1][:, :known]) / directions.norm(dim=1).numpy()[:, None]
    np.testing.assert_allclose(cosines, np.eye(known), atol=1e-3)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999))
def test_in_a_space_that_is_turned_and_stretched_the_same_change_is_found(seed):
    rng = np.random.default_rng(seed)
    codes = torch.from_numpy(rng.normal(size=(20, 4)) * [4, 2, 1, 0.5])
    change = torch.from_numpy(3 * ortho_group.rvs(4, random_state=seed))
    scores = principal_scores(codes, 3)
    there = directions_along(scores, codes @ change + 5)
    torch.testing.assert_close(there, directions_along(scores, codes) @ change)


def test_no_more_directions_than_codes_spread_in():
    codes = torch.tensor([[0.0, 1.0, 0.0], [2.0, 1.0, 0.0], [4.0, 1.0, 0.0]])
    directions = directions_along(principal_scores(codes, 4), codes)
    torch.testing.assert_close(directions.abs(), torch.tensor([[(8 / 3) ** 0.5, 0.0, 0.0]]))
    assert principal_scores(codes[:1], 4).shape == (1, 0)


def test_both_decoders_walk_by_the_scores_of_the_first(players, first):
    ours, paper = players.values()
    assert torch.equal(ours.scores, paper.scores)
    for player in players.values():
        step = player.code(moved(first, 1, 2)) - player.code(first)
        torch.testing.assert_close(step, 2 * player.directions[1])
    assert moved(moved(first, 1, 2.0), 0, -1).spread == (-1.0, 2.0)


def test_decoders_of_other_shapes_are_not_compared(bench):
    lead = Player(Trained(bench, (), PHASE_1))
    lead.coded = dict(list(lead.coded.items())[:2])
    with pytest.raises(PlaygroundError, match="our_embedding has codes of other shapes than .*chairs/embedding: two"):
        Player(Trained(bench, (), OUR_PHASE_1), lead)


def test_a_decoder_of_another_run_is_played_with_by_its_place(bench, tmp_path):
    (tmp_path / "other" / "chairs").mkdir(parents=True)
    (tmp_path / "other" / "chairs" / PHASE_1).symlink_to(bench.folder / PHASE_1)
    players = open_players(bench, PHASE_1, PHASE_1, tmp_path / "other")
    assert list(players) == ["the paper's", str(tmp_path / "other" / PHASE_1)]
    assert torch.equal(*(player.directions for player in players.values()))
    with pytest.raises(RunError, match="no .*training in"):
        open_players(bench, PHASE_1, PHASE_1, tmp_path / "none")
    assert list(open_players(bench, OUR_PHASE_1)) == ["ours"]


# --- colours


def cloud(points):
    """Points as the vertices of a mesh."""
    return trimesh.Trimesh(points, [[0, 1, 2]], process=False)


def test_the_distance_of_the_truth_to_itself_is_nothing(player, first):
    truth, painter = player.shapes[first.shape].load(), Painter(player)
    colors = painter.colors(truth, replace(first, paint=ERROR))
    assert (colors == error_colors(np.zeros(1), 1.0)).all()
    surface, normals = sample_mesh(truth, 300, np.random.default_rng(0))
    assert painter.distance(first.shape)(surface).max() < 1e-6
    away = distance_to(trimesh.creation.box((1, 1, 1)))
    np.testing.assert_allclose(
        away(np.array([[0, 0, 2.0], [0, 0.8, 0], [0, 0, 0], [1.5, 0, 1.5]])), [1.5, 0.3, 0.5, 2**0.5]
    )


def test_place_is_where_the_warp_leads_and_clay_is_clay(player, first):
    painter, points = Painter(player), np.random.default_rng(0).uniform(-0.4, 0.4, (40, 3))
    there = player.frame(first).apply(points)
    np.testing.assert_array_equal(
        painter.colors(cloud(points), replace(first, paint=PLACE, step=0)), position_colors(there)
    )
    carried = position_colors(player.model.canonical(there, player.codes[0]))
    np.testing.assert_array_equal(painter.colors(cloud(points), replace(first, paint=PLACE)), carried)
    assert (painter.colors(cloud(points), first) == CLAYS["chairs"]).all()


def test_parts_come_from_the_exemplars_by_way_of_the_template(player, first):
    """An exemplar's own points meet its own labels."""
    painter = Painter(player, exemplars=1)
    (exemplar,) = painter.exemplars
    mesh = exemplar.load()
    points, face = trimesh.sample.sample_surface(mesh, 1500, seed=7)
    colors = painter.colors(cloud(points), replace(first, shape=exemplar.id, paint=PART))
    truth = PART_COLORS[mesh.metadata["part"][face]]
    assert (colors == truth).all(axis=1).mean() > 0.95
    assert painter.part_names == list(mesh.metadata["parts"])


def test_what_colours_cannot_say_is_named(player, first, monkeypatch):
    painter = Painter(player)
    with pytest.raises(
        PlaygroundError, match="colours cannot say 'mood'; they can say clay, place on the template, part"
    ):
        painter.colors(cloud(np.zeros((3, 3))), replace(first, paint="mood"))
    painter.exemplars = []
    assert PART not in painter.paints and painter.part_names == []


# --- fits


def samples_of(sdf, count=4000):
    """A table of a function's own samples: all over the sphere, and near its surface."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (4 * count, 3)).astype(np.float32)
    values = sdf(points)
    chosen = np.concatenate([np.argsort(np.abs(values))[: count // 2], np.arange(count // 2)])
    rows = np.column_stack([points, values])[chosen].astype(np.float32)
    return SDFTable.from_rows(torch.from_numpy(rows)[None], torch.zeros((1, 0, 4)), "cpu")


def test_a_fit_finds_the_code_that_made_the_samples(player):
    config = EmbeddingConfig.model_validate(
        {**player.config, "code_weight": 0.0, "ambient_weight": 0.0, "pointwise_weight": 0.0}
    )
    before = {name: value.clone() for name, value in player.model.state_dict().items()}
    for row in (0, 3):
        truth = player.codes[row]
        fit = Fit(samples_of(player.model.shape(truth)), config, player.model, mean_code(player.codes), steps=300)
        start = float((fit.latent.detach()[0] - truth).norm())
        rows = list(fit.run())
        assert len(rows) == 300 and fit.done == 1
        assert rows[-1]["loss"] < 0.1 * rows[0]["loss"]
        assert float((fit.latent.detach()[0] - truth).norm()) < 0.1 * start
        points = np.random.default_rng(1).uniform(-1, 1, (500, 3))
        np.testing.assert_allclose(fit.sdf()(points), player.model.shape(truth)(points), atol=0.02)
    assert all(torch.equal(value, before[name]) for name, value in player.model.state_dict().items())


def test_a_small_decoder_learns_one_shape_from_nothing(player, first):
    fit = fit_shape(player, first.shape, DECODER, {"pointpair_weight": 0.0}, steps=600, points=128)
    rows = list(fit.run())
    assert rows[-1]["sdf"] < 0.4 * rows[0]["sdf"]
    samples = player.bench.store.read_sdf(player.shapes[first.shape])
    found, truth = (np.clip(values, -0.1, 0.1) for values in (fit.sdf()(samples.points), samples.sdf))
    assert np.corrcoef(found, truth)[0, 1] > 0.7
    assert fit.model is not player.model and fit.latent.shape == (1, 8)


def test_the_weights_are_those_asked_for(player, first):
    heavy = fit_shape(player, first.shape, CODE, {"code_weight": 1.0, "pointwise_weight": 0.0}, steps=60, points=64)
    light = fit_shape(player, first.shape, CODE, {"code_weight": 0.0}, steps=60, points=64)
    last = [list(fit.run())[-1] for fit in (heavy, light)]
    assert "pointwise" not in last[0] and "code" not in last[1] and "code" in last[0]
    assert float(heavy.latent.detach().norm()) < 0.5 * float(light.latent.detach().norm())
    table = fit_table({"heavy": heavy, "light": light})
    assert table.fit.tolist() == ["heavy", "light"] and table.steps.tolist() == [60, 60]
    np.testing.assert_allclose(table.code, [float(fit.latent.detach().norm()) for fit in (heavy, light)])


def test_a_fit_by_the_clock_ends_in_time(player, first):
    fit = fit_shape(player, first.shape, seconds=0.5, points=16)
    rows = list(fit.run())
    assert fit.done >= 1 and 0.4 < rows[-1]["seconds"] < 5
    assert [row["step"] for row in rows] == list(range(1, len(rows) + 1))


def test_what_a_fit_cannot_do_is_said_in_a_sentence(player, first):
    with pytest.raises(SettingsError, match="a fit takes some steps or some seconds, not 0 steps and 0 seconds"):
        fit_shape(player, first.shape)
    with pytest.raises(SettingsError, match="a fit learns its code or its code and a small decoder, not 'all'"):
        fit_shape(player, first.shape, "all", steps=1)
    with pytest.raises(SettingsError, match="no weight is called 'sdf_weight'; there is pointwise_weight"):
        fit_shape(player, first.shape, weights={"sdf_weight": 1.0}, steps=1)
    with pytest.raises(SettingsError, match="code_weight = -1.0 is refused"):
        fit_shape(player, first.shape, weights={"code_weight": -1.0}, steps=1)


def test_a_watched_fit_keeps_its_mesh_at_steps_that_grow(player, first):
    fit = fit_shape(player, first.shape, steps=20, points=64)
    found = watched(player, first, fit, pictures=3, resolution=GRID)
    assert list(found) == snapshot_steps(20, 3).tolist() == [1, 4, 20]
    assert_same(found[20], to_raw(extract_mesh(fit.sdf(), GRID), player.frame(first)))
    assert snapshot_steps(2, 5).tolist() == [1, 2] and snapshot_steps(400, 1).tolist() == [400]


# --- on paper


def test_tables_say_how_a_shape_grows_and_what_a_grid_sees(player, first):
    small, large = trimesh.creation.box((0.1, 0.2, 0.3)), trimesh.creation.box((0.2, 0.2, 0.2))
    table = size_table({"a": [small, None, large], "b": [None, large]})
    np.testing.assert_allclose(table.iloc[0, 1:].astype(float), [10, 0, -10, 100 / 3])
    assert table.iloc[1, 1:].isna().all()
    meshes, seen = grid_table(player, first, [12, 24])
    assert list(meshes) == [12, 24] and seen.faces.tolist() == [len(mesh.faces) for mesh in meshes.values()]
    assert seen["mean"][1] == pytest.approx(0, abs=1e-4) and seen["mean"][0] > 0.1


def test_rows_of_states_are_their_meshes_and_an_empty_place_is_none(player, first):
    far = replace(first, spread=(0.0,), step=0, beside=(1e4, 1e4))
    found = meshes_of(player, {"row": [first, far]}, GRID)["row"]
    assert_same(found[0], player.mesh(first, GRID))
    assert found[1] is None or len(found[1].faces)
    away = (player.codes - player.codes[0]).norm(dim=1).argmax()
    assert farthest(player, first.shape) == list(player.coded)[int(away)]


# --- at the desk


@pytest.fixture
def desk(players):
    desk = Desk({"chairs": players}, grid=24, seconds=1)
    desk.drawing.wait()
    return desk


def assert_shows(screen, player, state, grid):
    mesh = player.mesh(state, grid)
    count = len(mesh.vertices)
    np.testing.assert_array_equal(screen.live.mesh.vertices[:count], np.asarray(mesh.vertices, np.float32))
    assert sorted(screen.live.mesh.indices.tolist()) == sorted(mesh.faces.tolist())  # in whatever order
    np.testing.assert_array_equal(screen.live.mesh.colors[:count], packed_colors(Painter(player).colors(mesh, state)))
    assert len(screen.live.mesh.colors) == len(screen.live.mesh.vertices)
    assert screen.live.mesh.visible and screen.line.value.startswith(f"{len(mesh.faces):,} faces")


def test_the_desk_opens_with_the_first_shape_and_shows_one_decoder(desk, player, first):
    assert desk.state() == State(first.shape, LEARNT, "", 0.0, (0.0,) * 4, (0.0,) * 2, None, CLAY)
    assert_shows(desk.screens[0], player, first, 24)
    assert desk.screens[1].box.layout.display == "none" and not desk.screens[1].live.mesh.visible
    assert bytes(desk.picture.value).startswith(b"\x89PNG")


def test_dragging_ends_where_the_slider_stands(desk, player, first):
    for value in np.linspace(0, 1.5, 80):
        desk.spreads[0].value = float(value)
    desk.drawing.wait()
    assert_shows(desk.screens[0], player, moved(first, 0, 1.5), 24)


def test_no_message_leaves_an_index_without_its_vertex(monkeypatch):
    """The front end takes the arrays of a message in any order, one message after the other."""
    screen, room = Screen(), [3]
    sent = []
    monkeypatch.setattr(
        screen.live.mesh, "send_state", lambda key=None: sent.append({key} if isinstance(key, str) else set(key))
    )
    for finer in (1, 4, 1, 5):
        ball = trimesh.creation.icosphere(finer)
        sent.clear()
        screen.show(ball, np.zeros((len(ball.vertices), 3), np.uint8), "a ball")
        used = int(screen.live.mesh.indices.max())
        with_indices = next(keys for keys in sent if "indices" in keys)
        before = [keys for keys in sent[: sent.index(with_indices)] if "vertices" in keys]
        assert (
            used < (len(screen.live.mesh.vertices) if before else room[0]) and len(screen.live.mesh.vertices) >= room[0]
        )
        room[0] = len(screen.live.mesh.vertices)


def test_each_control_leads_to_its_state(desk, player, first):
    other = list(player.coded)[1]
    desk.other.value, desk.between.value = other, 0.5
    desk.step.value = 1
    desk.grid.value = 32
    desk.paint.value = PLACE
    desk.drawing.wait()
    state = replace(first, other=other, between=0.5, step=1, paint=PLACE)
    assert_shows(desk.screens[0], player, state, 32)
    desk.beside[0].value, desk.step.value = 0.4, desk.step.max
    desk.paint.value = PART
    desk.drawing.wait()
    assert_shows(desk.screens[0], player, replace(state, step=None, beside=(0.4, 0.0), paint=PART), 32)
    assert "seat" in desk.legend.value
    desk.paint.value = ERROR
    assert "4 % of the shape's diagonal" in desk.legend.value
    desk.back.click()
    desk.drawing.wait()
    assert_shows(desk.screens[0], player, replace(first, other=other, paint=ERROR), 32)


def test_the_second_decoder_follows_the_same_sliders(desk, players, first):
    desk.second.value = "the paper's"
    desk.spreads[0].value = 0.5
    desk.drawing.wait()
    for screen, player in zip(desk.screens, players.values(), strict=True):
        assert_shows(screen, player, moved(first, 0, 0.5), 24)
    assert desk.screens[1].box.layout.display == ""


def test_another_shape_brings_its_own_views_and_a_view_its_code(desk, player, bench):
    desk.spreads[1].value = 1.0
    shape = bench.shapes("test")[1].id
    desk.shape.value = shape
    assert desk.view.options == tuple(player.views(shape)) and desk.spreads[1].value == 0
    desk.view.value = "hard view 0"
    desk.drawing.wait()
    assert torch.equal(player.code(desk.state()), player.code(State(shape, "hard view 0")))
    desk.second.value = "the paper's"  # which no encoder stands before
    desk.drawing.wait()
    assert not desk.screens[1].live.mesh.visible and "no shape" in desk.screens[1].line.value


def test_the_fit_panel_fits_the_chosen_shape_and_stops_when_told(desk, player, first):
    panel = desk.fit
    assert panel.weights["code_weight"].value == pytest.approx(player.config["code_weight"])
    panel.weights["pointwise_weight"].value = 1e-6
    assert panel.wish().weights["pointwise_weight"] == 0.0
    panel.start.click()
    panel.fitting.wait()
    assert panel.screen.live.mesh.visible and panel.screen.line.value.startswith("step ")
    assert bytes(panel.curve.value).startswith(b"\x89PNG")
    panel.seconds.value = 500
    panel.start.click()
    panel.stop.click()
    panel.fitting.wait(30)
