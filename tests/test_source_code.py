"""The hash of the code that a result depends on: what counts, what does not, and which modules belong to a result."""

from pathlib import Path

import pytest

from tpl import source_code
from tpl.source_code import MAKERS, SHAPE_MAKERS, code_digest, files_named, modules_of

TWO = {
    "__init__": "",
    "scale": '"""A factor."""\n\nSCALE = 2.0\n"""Of all."""\n',
    "work": 'from tpl.scale import SCALE\n\n\ndef first(a):\n    """The first three."""\n    return SCALE * a[:3]\n',
}


@pytest.fixture
def digest_of(tmp_path, monkeypatch):
    """The digest of "tpl.work" in a library of a few modules; some may be given another text, or be added."""

    def digest(**texts: str) -> str:
        folder = tmp_path / "tpl"
        for name, text in {**TWO, **texts}.items():
            file = folder.joinpath(*name.split("__of__")[::-1]).with_suffix(".py" if "table" not in name else ".json")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        monkeypatch.setattr(source_code, "PACKAGE", folder)
        forget()
        return code_digest("tpl.work")

    yield digest
    forget()


def forget() -> None:
    for function in vars(source_code).values():
        getattr(function, "cache_clear", lambda: None)()


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("scale", "A factor", "The factor"),
        ("scale", "Of all", "Of everything"),
        ("work", "The first three", "Three"),
        ("work", "SCALE * a[:3]", "SCALE * a[ : 3]  # a remark"),
        ("work", "SCALE * a[:3]", "(\n        SCALE\n        * a[:3]\n    )"),
    ],
)
def test_words_and_looks_do_not_count(digest_of, module, old, new):
    assert old in TWO[module] and digest_of(**{module: TWO[module].replace(old, new)}) == digest_of()


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("scale", "2.0", "2"),
        ("scale", "2.0", "2.5"),
        ("work", "a[:3]", "a[3:]"),
        ("work", "SCALE *", "SCALE /"),
        ("work", "a[:3]", "-a[:3]"),
        ("work", "return ", ""),
        ("work", "def first(a):", "def first(a=None):"),
    ],
)
def test_all_that_can_change_a_result_counts(digest_of, module, old, new):
    assert old in TWO[module] and digest_of(**{module: TWO[module].replace(old, new)}) != digest_of()


def test_only_what_is_imported_counts_and_the_ground_never_does(digest_of):
    other, before = "from tpl.scale import SCALE\n", digest_of()
    assert digest_of(other=other, files="KEPT = 1\n") == before
    assert digest_of(other=f"{other}THIRD = 3\n") == before
    by_name = "from tpl.files import KEPT\n" + TWO["work"]
    assert digest_of(work=by_name, files="KEPT = 1\n") == digest_of(work=by_name, files="KEPT = 2\n")


@pytest.mark.parametrize("line", ["import tpl.room.inner as i", "from tpl.room import inner", "from tpl.room import A"])
def test_every_form_of_import_is_followed_through_a_package_to_the_one_module(digest_of, line):
    def digest(a: int, b: int) -> str:
        room = "from tpl.room.inner import A\nfrom tpl.room.outer import B\n"
        inner, outer = f"A = {a}\n", f"B = {b}\n"
        work = f"def late():\n    {line}\n"
        return digest_of(work=work, __init____of__room=room, inner__of__room=inner, outer__of__room=outer)

    assert digest(1, 1) != digest(2, 1)
    assert digest(1, 1) == digest(1, 2)


def test_a_table_counts_for_the_module_that_names_it(digest_of):
    reading = 'TABLE = "table.json"\n' + TWO["work"]
    assert digest_of(work=reading, table="[1]") != digest_of(work=reading, table="[2]")
    assert digest_of(table="[1]") == digest_of(table="[2]")


def test_every_table_of_the_library_is_named_by_a_module_beside_it():
    root = Path(str(source_code.PACKAGE))
    others, left_out = (".py", ".pyc", ".typed"), {"__pycache__", "networks"}  # networks have a hash each in a manifest
    tables = {f for f in root.rglob("*.*") if f.suffix not in others and not left_out & set(f.parts)}
    places = [file.relative_to(root.parent).with_suffix("").parts for file in root.rglob("*.py")]
    modules = [".".join(place).removesuffix(".__init__") for place in places]
    assert tables - {file for module in modules for file in files_named(module)} == set()


def test_where_it_is_installed_does_not_count_and_a_module_that_is_not_there_is_an_error(edit_code):
    copied = code_digest("tpl.metrics")
    edit_code("tpl.metrics")
    assert code_digest("tpl.metrics") == copied
    edit_code("tpl.geometry.primitives", "FACTOR = 2")
    assert code_digest("tpl.metrics") != copied
    with pytest.raises(ModuleNotFoundError, match="no module is called 'tpl.metric'"):
        code_digest("tpl.metric")


def test_the_same_code_elsewhere_has_the_same_digest(request):
    here = code_digest("tpl.study.judging", without=MAKERS)
    request.getfixturevalue("edit_code")
    assert code_digest("tpl.study.judging", without=MAKERS) == here


def test_without_sources_the_version_stands_for_them(tmp_path, monkeypatch):
    monkeypatch.setattr(source_code, "PACKAGE", tmp_path)
    monkeypatch.setattr(source_code.metadata, "version", lambda name: f"{name} 1.2")
    forget()
    assert code_digest("tpl.metrics") == "tpl 1.2"
    forget()


@pytest.mark.parametrize(
    ("root", "without", "inside", "outside"),
    [
        (
            "tpl.dataset.prepare",
            ("tpl.shapes", "tpl.dataset.workers"),
            ["tpl.meshes.sdf", "tpl.meshes.cleaning", "tpl.rendering.raycast", "tpl.rendering.blender_scene"],
            ["tpl.look", "tpl.training", "tpl.models", "tpl.meshes.reading", "tpl.shapes"],
        ),
        (
            "tpl.study.judging",
            MAKERS,
            ["tpl.metrics", "tpl.evaluation.rows", "tpl.geometry.marching", "tpl.inference", "tpl.models.warp"],
            ["tpl.training", "tpl.look", "tpl.shapes", "tpl.rendering", "tpl.chapters"],
        ),
        (
            "tpl.chapters.paper_and_code.trials",
            SHAPE_MAKERS,
            ["tpl.training.loop", "tpl.losses", "tpl.metrics"],
            ["tpl.look", "tpl.shapes", "tpl.book"],
        ),
    ],
)
def test_a_result_depends_on_what_it_must_and_not_on_everything(root, without, inside, outside):
    found = modules_of((root,), without)
    assert set(inside) <= set(found)
    assert [name for name in found if any(f"{name}.".startswith(f"{room}.") for room in outside)] == []
