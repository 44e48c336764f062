"""Rooms stand on each other: imports lead down only, in no circle, and what was made short stays so."""

from importlib import import_module

import pytest
import structure

TREES, MEASURED = structure.modules(), structure.measured()


def forged(tmp_path, **texts):
    """A library of a few modules, by their places."""
    for place, text in texts.items():
        file = tmp_path.joinpath("tpl", *place.split("__of__")[::-1]).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return structure.modules(tmp_path / "tpl")


def test_every_module_stands_in_a_room():
    assert structure.homeless(TREES) == []


def test_no_import_leads_back_up():
    assert structure.upward(TREES) == []


def test_no_modules_import_each_other():
    assert structure.circles(TREES) == []


def test_what_a_room_hands_on_is_there():
    """Names that are fetched on demand fail where they are asked for, and nowhere before."""
    handed_on = [(import_module(name), names) for name in TREES if (names := structure.handed_on(TREES[name]))]
    assert [f"{room.__name__}.{name}" for room, names in handed_on for name in names if not hasattr(room, name)] == []


@pytest.mark.parametrize("name", structure.LIMITS)
def test_what_was_made_short_stays_so(name):
    assert MEASURED[name] <= structure.LIMITS[name], structure.table()


def test_the_structure_is_shown(capsys):
    with capsys.disabled():
        print(f"\n{structure.table()}")


@pytest.mark.parametrize(
    "text",
    ["from tpl.training.loop import fit", "import tpl.training.loop", "def f():\n    from tpl.training import loop"],
)
def test_an_import_that_leads_up_is_found_wherever_it_stands(tmp_path, text):
    trees = forged(tmp_path, losses=text, loop__of__training="from tpl.metrics import chamfer_distance", metrics="")
    assert structure.upward(trees) == ["tpl.losses imports tpl.training.loop, and training stands above losses"]


def test_whoever_imports_the_package_itself_is_found(tmp_path):
    trees = forged(tmp_path, __init__="def f():\n    from tpl.photos import g", photos="import tpl")
    assert structure.upward(trees) == ["tpl.photos imports tpl, and tpl stands above photos"]


def test_a_module_without_a_room_is_found(tmp_path):
    (sentence,) = structure.homeless(forged(tmp_path, attic="", losses=""))
    assert sentence.startswith("tpl.attic stands in no room")


def test_modules_of_one_room_that_import_each_other_are_found(tmp_path):
    first, second = "from tpl.meshes.b import y", "def f():\n    import tpl.meshes.c"
    trees = forged(tmp_path, a__of__meshes=first, b__of__meshes=second, c__of__meshes="from tpl.meshes import a")
    assert structure.circles(trees) == ["tpl.meshes.a, tpl.meshes.b, tpl.meshes.c import each other"]
    assert structure.upward(trees) == []


def test_the_longest_function_is_counted_without_its_docstring(tmp_path):
    long = 'def long():\n    """Says\n\n    much.\n    """\n    return 1\n'
    short = "class A:\n    def short(self):\n        a = 1\n        return a\n"
    assert structure.longest_function(forged(tmp_path, losses=long, metrics=short)) == (3, "tpl.metrics.short")
