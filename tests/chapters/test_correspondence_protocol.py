"""The measure of others: votes, key points and shares as its formulas have them, and its files."""

import numpy as np
import pytest
import torch

from tpl.chapters.correspondence.protocol import (
    ABSENT,
    Marked,
    PointFilesError,
    carried_keypoints,
    mean_iou,
    read_marked,
    score_folder,
    score_marked,
    voted_labels,
)

RNG = np.random.default_rng(5)


def shape(name: str, count: int = 60, keypoints=(3, 7, ABSENT)) -> Marked:
    """Points whose part is the octant of x and whose places are their own, a little off."""
    points = RNG.uniform(-0.5, 0.5, (count, 3))
    label = 12 + (points[:, 0] > 0) + (points[:, 1] > 0.2)
    return Marked(name, points, label, points + 0.02 * RNG.standard_normal((count, 3)), np.array(keypoints))


def write(folder, one: Marked, extra: int = 0) -> None:
    (folder / one.name).mkdir(parents=True)
    rows = np.column_stack([one.points, one.label, one.places, *[np.zeros((len(one.points), 3))] * extra])
    torch.save(torch.from_numpy(rows).float(), folder / one.name / "coords.pt")
    torch.save(torch.from_numpy(one.keypoints), folder / one.name / "kp_label.pt")


def test_votes_are_the_formula_in_loops():
    sources, target = [shape("a"), shape("b")], shape("c", 40)
    expected = []
    for place in target.places:
        voters = sorted(
            (float(np.linalg.norm(p - place)), int(part))
            for source in sources
            for p, part in zip(source.places, source.label, strict=True)
        )[:10]
        votes = {part: sum(np.exp(-3 * d) for d, own in voters if own == part) for part in (12, 13, 14)}
        expected.append(max(votes, key=lambda part: votes[part]))
    assert voted_labels(sources, target).tolist() == expected


def test_a_key_point_is_where_the_mean_of_the_sources_that_have_it_is():
    a, b = shape("a", keypoints=(3, ABSENT, 5, ABSENT)), shape("b", keypoints=(9, 4, 2, ABSENT))
    target = shape("c", keypoints=(0, 1, ABSENT, 2))
    both, found = carried_keypoints([a, b], target)
    assert both.tolist() == [0, 1]
    for key, mean in ((0, (a.places[3] + b.places[9]) / 2), (1, b.places[4])):
        nearest = np.linalg.norm(target.places - mean, axis=1).argmin()
        assert np.array_equal(found[key], target.points[nearest])


def test_the_same_shape_is_carried_without_error_and_a_known_error_falls_between_its_thresholds():
    one = shape("a")
    same = one._replace(name="b", places=one.places.copy())
    (row,) = score_marked([one], [same]).to_dict("records")
    assert row["keypoints"] == 2 and row["error"] == 0 and row["pck_1"] == row["pck_10"] == 1
    points = np.array([[0.0, 0, 0], [3, 4, 0], [0.15, 0, 0], [0, 0.6, 0]])  # a diagonal of 5: 3 % and 12 % of it
    places = np.eye(4)
    source = Marked("s", points, np.arange(4), places, np.array([2, 3, 1]))
    target = Marked("t", points, np.arange(4), places, np.array([0, 0, 1]))
    (row,) = score_marked([source], [target]).to_dict("records")
    assert [row[f"pck_{share}"] for share in (1, 2, 5, 10)] == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3])
    assert row["error"] == pytest.approx((0.03 + 0.12) / 3)


def test_iou_is_the_mean_over_the_parts_that_are_there():
    truth, carried = np.array([1, 1, 2, 2, 2]), np.array([1, 2, 2, 2, 5])
    assert mean_iou(carried, truth) == pytest.approx((1 / 2 + 2 / 4) / 2)


@pytest.mark.parametrize("extra", [0, 1])
def test_published_files_are_scored_as_what_they_hold(tmp_path, extra):
    shapes = [shape(name) for name in "abcde"]
    for one in shapes:
        write(tmp_path, one, extra)
    read = read_marked(tmp_path)
    assert [one.name for one in read] == list("abcde") and np.allclose(read[2].places, shapes[2].places, atol=1e-6)
    table, expected = score_folder(tmp_path, ["d", "a"]), score_marked([read[3], read[0]], [read[1], read[2], read[4]])
    assert table.equals(expected) and table["mean_iou"].between(0.5, 1).all()


def test_a_folder_that_is_not_in_that_form_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(PointFilesError, match="no shapes"):
        read_marked(tmp_path)
    write(tmp_path, shape("a"))
    with pytest.raises(PointFilesError, match="'z'"):
        score_folder(tmp_path, ["z"])
    with pytest.raises(PointFilesError, match="1 shapes, 1 of them sources"):
        score_folder(tmp_path, ["a"])
    torch.save(torch.tensor([99]), tmp_path / "a" / "kp_label.pt")
    with pytest.raises(PointFilesError, match="names rows"):
        read_marked(tmp_path)
    torch.save(torch.zeros(4, 6), tmp_path / "a" / "coords.pt")
    with pytest.raises(PointFilesError, match="columns x y z part"):
        read_marked(tmp_path)
