"""The rooms of the library: imports lead down, and the picture of them shows what the sources say."""

import re
import xml.etree.ElementTree as xml

import pytest
from structure import upward

from tpl.book.structure import FLOORS, Arrow, doors, essential, modules, picture, room

TREES = modules()
BETWEEN = {arrow for arrow in doors(TREES) if arrow.source in FLOORS}


def test_every_room_has_its_floor_and_imports_lead_down():
    assert {room(module) for module in TREES} == {*FLOORS, "tpl"}
    assert upward(TREES) == []


def reached(start: str, arrows: set[Arrow]) -> set[str]:
    return set().union(*({arrow.target} | reached(arrow.target, arrows) for arrow in arrows if arrow.source == start))


def test_the_essential_arrows_reach_what_all_do_and_none_can_be_spared():
    kept = essential(BETWEEN)
    assert kept < BETWEEN
    for name in FLOORS:
        assert reached(name, kept) == reached(name, BETWEEN)
    for arrow in kept:
        assert arrow.target not in reached(arrow.source, kept - {arrow})


def test_the_picture_has_each_room_above_what_it_imports_and_no_two_in_one_place():
    svg = xml.fromstring(picture(BETWEEN))
    space = {"svg": "http://www.w3.org/2000/svg"}
    labels = {text.text: (float(text.attrib["x"]), float(text.attrib["y"])) for text in svg.findall("svg:text", space)}
    assert sorted(labels) == sorted(FLOORS)
    assert all(labels[source][1] < labels[target][1] for source, target in BETWEEN)
    lines = [path.attrib["d"] for path in svg.findall("svg:path", space)]
    assert len(lines) == len(essential(BETWEEN))
    for name, (x, y) in labels.items():
        near = [other for other, (u, v) in labels.items() if v == y and abs(u - x) < 110 and other != name]
        assert near == []
    _, _, width, height = map(float, svg.attrib["viewBox"].split())
    numbers = [float(number) for line in lines for number in re.findall(r"[0-9.]+", line)]
    assert max(numbers) <= max(width, height) and all(0 < x < width and 0 < y < height for x, y in labels.values())


@pytest.mark.parametrize("chain", ["ab bc ac", "ab bc cd ad bd"])
def test_a_way_around_makes_an_arrow_spare(chain):
    arrows = {Arrow(*pair) for pair in chain.split()}
    assert {"".join(arrow) for arrow in essential(arrows)} == {"ab", "bc", "cd"} & {"".join(a) for a in arrows}
