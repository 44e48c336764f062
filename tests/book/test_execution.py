"""Chapters: their pairs, their parameters, a run, what a failure leaves, and the site that is made of a run."""

import json
import re
import shutil
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import nbformat
import psutil
import pytest
import torch

from tpl.book import execution as chapters
from tpl.book.book import BookError, at_root
from tpl.book.bounds import converted
from tpl.book.execution import has_room, run_chapters, usual_jobs
from tpl.book.manifest import read_manifest, record
from tpl.book.pairs import check_pair, pair
from tpl.book.parameters import chosen_parameters, parameters
from tpl.book.publishing import cleaned, executed_notebooks, publish
from tpl.book.site import broken_links, build_site, facts, stage
from tpl.errors import OutOfTime
from tpl.files import BusyError, alone_in, beside
from tpl.look.scenes import MIME

KNOWN = {"side": 2.0, "count": 3, "color": "red", "fail": False}


def test_the_first_page_is_executed_last_and_plain_pages_never(mini_book):
    assert mini_book.pages == ["intro", "01_cubes", "bibliography"]
    assert [chapter.name for chapter in mini_book.chapters] == ["01_cubes", "intro"]


@pytest.mark.parametrize("name", ["01", "01_cubes", "book/01_cubes.md", "book/01_cubes.ipynb"])
def test_a_chapter_is_found_by_its_name_its_file_and_its_number(mini_book, name):
    assert mini_book.find(name).name == "01_cubes"


def test_what_does_not_exist_is_named_beside_what_does(mini_book):
    with pytest.raises(BookError, match="no chapter '02'; there are 01_cubes, intro"):
        run_chapters(mini_book, ["02"])
    with pytest.raises(BookError, match="no profile 'fast'; there are quick, smoke"):
        run_chapters(mini_book, profile="fast")
    with pytest.raises(BookError, match=r"no parameter 'depth': 01_cubes has side = 2.0, .*; intro has none"):
        run_chapters(mini_book, given={"depth": "3"})
    with pytest.raises(BookError, match="_toc.yml; run this in a clone"):
        run_chapters(type(mini_book)(mini_book.root / "nowhere"))
    assert not (mini_book.root / "runs").exists()


def test_a_listed_page_without_a_source_is_named(mini_book):
    (mini_book.folder / "01_cubes.md").unlink()
    with pytest.raises(BookError, match="_toc.yml lists 01_cubes, but there is no .*01_cubes.md"):
        run_chapters(mini_book)


# --- pairs


def test_a_pair_says_the_same_and_has_no_outputs(mini_book):
    chapter = mini_book.find("01")
    check_pair(chapter)
    notebook = nbformat.read(chapter.notebook, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    assert pair(mini_book) == []


def test_an_edited_source_is_noticed_and_paired(mini_book):
    chapter = mini_book.find("01")
    chapter.source.write_text(chapter.source.read_text().replace("side * count", "side + count"))
    with pytest.raises(BookError, match="01_cubes.ipynb differ; keep the .md and run `tpl pair`"):
        run_chapters(mini_book, ["01"])
    assert pair(mini_book) == [chapter.notebook]
    check_pair(chapter)
    chapter.notebook.unlink()
    with pytest.raises(BookError, match="has no notebook beside it"):
        check_pair(chapter)


# --- parameters


def test_parameters_are_those_of_the_tagged_cell(mini_book):
    assert parameters(mini_book.find("01")) == KNOWN
    assert parameters(mini_book.find("intro")) == {}


@pytest.mark.parametrize(
    ("value", "default", "expected"),
    [("3", 1, 3), ("1e-4", 0.1, 1e-4), (3, 0.1, 3.0), ("3", "a", "3"), ("true", False, True), (False, True, False)],
)
def test_values_take_the_type_of_the_default(value, default, expected):
    result = converted("name", value, default)
    assert result == expected and type(result) is type(expected)


@pytest.mark.parametrize(
    ("value", "default"), [("x", 1), (1.5, 1), ("1.5", 1), (True, 1), ("yes", True), (1, True), (3, "a"), ([1], 1.0)]
)
def test_values_of_another_type_are_refused(value, default):
    with pytest.raises(
        BookError, match=rf"parameter name is {type(default).__name__} .*, and {re.escape(repr(value))}"
    ):
        converted("name", value, default)


def test_what_is_given_goes_before_the_profile_to_the_chapters_that_have_it(mini_book):
    chosen = chosen_parameters(mini_book, mini_book.chapters, "smoke", {"count": "5"})
    assert chosen == {"01_cubes": {"count": 5, "side": 1.0}, "intro": {}}
    assert chosen_parameters(mini_book, mini_book.chapters, "quick", {}) == {"01_cubes": {}, "intro": {}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sides: 3", "profile 'smoke': no parameter 'sides'; did you mean side[?]"),
        ("count: many", "parameter count is int .*'many' is not"),
        ("- 3", "should hold lines `name: value`"),
        ("a: [", "01_cubes.yml is not YAML"),
    ],
)
def test_a_wrong_profile_is_refused_before_anything_runs(mini_book, text, message):
    (mini_book.folder / "profiles" / "smoke" / "01_cubes.yml").write_text(text)
    with pytest.raises(BookError, match=message):
        run_chapters(mini_book, profile="smoke")
    assert not (mini_book.root / "runs").exists()


# --- a run


def test_a_run_leaves_notebooks_scenes_and_a_manifest(built_book):
    folder = built_book.run_folder("smoke")
    left = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    scenes = ["_scenes/01_cubes/pair.html", "_scenes/01_cubes/steps.html"]
    assert left == ["01_cubes.ipynb", *scenes, "intro.ipynb", "manifest.json"]
    entry = read_manifest(folder)["01_cubes"]
    assert entry["profile"] == "smoke" and entry["source"] == built_book.find("01").digest
    assert entry["parameters"] == KNOWN | {"count": 2, "side": 1.0} and entry["changed"] == {"count": 2, "side": 1.0}
    assert entry["seconds"] > 0 and entry["cores"] >= 1 and entry["device"] and entry["versions"]["numpy"]


def test_a_run_computes_with_its_parameters_in_the_root_of_the_repository(built_book):
    notebook = executed_notebooks(built_book, built_book.run_folder("smoke"))["01_cubes"]
    results = [output["data"]["text/plain"] for cell in notebook.cells for output in cell.get("outputs", [])]
    assert results[0] == "2.0"  # side 1.0 times count 2
    assert sum(MIME in output["data"] for cell in notebook.cells for output in cell.get("outputs", [])) == 3


def test_a_failing_chapter_stops_the_run_in_a_sentence_and_is_never_taken_for_executed(mini_book):
    message = (
        r"chapter 01_cubes stopped in cell \[\d+\], `raise ValueError.*`: ValueError: this chapter was asked to fail"
    )
    with pytest.raises(BookError, match=message):
        run_chapters(mini_book, given={"fail": "true"})
    folder = mini_book.run_folder("quick")
    assert [path.name for path in folder.glob("*.ipynb")] == ["01_cubes.failed.ipynb"]
    assert read_manifest(folder) == {} and not list((folder / "_scenes").iterdir())
    with pytest.raises(BookError, match="not executed in .*: 01_cubes, intro; run `tpl run 01_cubes intro`"):
        build_site(mini_book, folder)
    (folder / "01_cubes.failed.ipynb").rename(folder / "01_cubes.ipynb")
    (folder / "intro.ipynb").write_text((folder / "01_cubes.ipynb").read_text())
    with pytest.raises(BookError, match="01_cubes.ipynb holds a failed execution"):
        build_site(mini_book, folder)


def test_what_a_kernel_says_beside_its_outputs_is_kept_where_its_chapter_failed(mini_book, capfd):
    chapter = mini_book.find("01")
    failing = 'raise ValueError("this chapter was asked to fail")'
    dying = "import os\n    os.write(2, b'the last words')\n    os._exit(1)"
    chapter.source.write_text(chapter.source.read_text().replace(failing, dying))
    pair(mini_book)
    with pytest.raises(BookError, match="^chapter 01_cubes lost its kernel, most likely for want of memory"):
        run_chapters(mini_book, ["01"], given={"fail": "true"})
    folder = mini_book.run_folder("quick")
    assert {path.name for path in folder.glob("01_cubes*")} == {"01_cubes.failed.ipynb", "01_cubes.log"}
    assert "the last words" in (folder / "01_cubes.log").read_text() and "the last words" not in capfd.readouterr().err
    run_chapters(mini_book, ["01"])
    assert {path.name for path in folder.glob("01_cubes*")} == {"01_cubes.ipynb"}


def test_what_a_reader_can_mend_stops_a_chapter_with_its_sentence_alone(mini_book):
    chapter = mini_book.find("01")
    missing = (
        "from pathlib import Path\n    from tpl.evaluation import read_results\n    read_results(Path('results.csv'))"
    )
    failing = 'raise ValueError("this chapter was asked to fail")'
    assert failing in chapter.source.read_text()
    chapter.source.write_text(chapter.source.read_text().replace(failing, missing))
    pair(mini_book)
    sentence = "no results at results.csv; chapter 07_tables makes them: run `tpl run 07_tables`"
    with pytest.raises(BookError, match=f"^chapter 01_cubes stopped: {sentence}; up to there it is .*failed.ipynb$"):
        run_chapters(mini_book, ["01"], given={"fail": "true"})
    failed = nbformat.read(mini_book.run_folder("quick") / "01_cubes.failed.ipynb", as_version=4)
    errors = [o for cell in failed.cells for o in cell.get("outputs", []) if o["output_type"] == "error"]
    assert [error["traceback"] for error in errors] == [[f"ResultsError: {sentence}"]]


def test_two_processes_do_not_execute_one_run(mini_book):
    with alone_in(mini_book.run_folder("smoke")), pytest.raises(BusyError, match="has been working in"):
        run_chapters(mini_book, ["01"], "smoke")
    assert read_manifest(mini_book.run_folder("smoke")) == {}


def test_a_chapter_is_told_what_was_given_by_hand(mini_book):
    chapter = mini_book.find("01")
    failing = 'raise ValueError("this chapter was asked to fail")'
    said = "from os import environ\n    from tpl.errors import PlainError\n    raise PlainError(environ['TPL_GIVEN'])"
    chapter.source.write_text(chapter.source.read_text().replace(failing, said))
    pair(mini_book)
    with pytest.raises(BookError, match="^chapter 01_cubes stopped: count fail; up to there"):  # not the profile's side
        run_chapters(mini_book, ["01"], "smoke", given={"count": "5", "fail": "true"})


def test_kernels_and_what_they_start_have_one_thread_each(mini_book, monkeypatch):
    """Whatever the number of cores: so numbers are those of any machine, and chapters leave each other room."""
    chapter = mini_book.find("01")
    failing = 'raise ValueError("this chapter was asked to fail")'
    said = (
        "import joblib, torch\n    from tpl.errors import PlainError\n"
        "    started = joblib.Parallel(2)(joblib.delayed(torch.get_num_threads)() for _ in range(2))\n"
        "    raise PlainError(f'{torch.get_num_threads()} {started}')"
    )
    chapter.source.write_text(chapter.source.read_text().replace(failing, said))
    pair(mini_book)
    for given, there in [("", "1 [1, 1]"), ("2", "2 [1, 1]")]:
        monkeypatch.setenv("OMP_NUM_THREADS", given) if given else monkeypatch.delenv("OMP_NUM_THREADS", False)
        with pytest.raises(BookError, match=f"^chapter 01_cubes stopped: {re.escape(there)}; up to there"):
            run_chapters(mini_book, ["01"], "smoke", given={"fail": "true"})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert chapters.one_thread() == {}


def test_a_run_out_of_time_keeps_what_is_done_and_goes_on(mini_book):
    with pytest.raises(OutOfTime, match="the 0 minutes are over before 01_cubes: the same command goes on with it"):
        run_chapters(mini_book, minutes=0)
    chapter = mini_book.find("01")
    imports = "from os import environ\n    from tpl.errors import DEADLINE, OutOfTime"
    paused = imports + "\n    raise OutOfTime(f'until {environ[DEADLINE]}')"
    failing = 'raise ValueError("this chapter was asked to fail")'
    chapter.source.write_text(chapter.source.read_text().replace(failing, paused))
    pair(mini_book)
    with pytest.raises(OutOfTime, match=r"^chapter 01_cubes is paused: until \d+"):
        run_chapters(mini_book, ["01"], given={"fail": "true"}, minutes=9)
    folder = mini_book.run_folder("quick")
    assert list(folder.glob("*.ipynb")) == [] and read_manifest(folder) == {}
    run_chapters(mini_book, ["01"], minutes=9)
    assert [path.name for path in folder.glob("*.ipynb")] == ["01_cubes.ipynb"]
    told = []
    run_chapters(mini_book, ["01"], say=told.append, minutes=9)  # a further piece does nothing twice
    assert told == ["[1/1] 01_cubes: kept: nothing it depends on has changed"]


def test_the_manifest_remembers_what_the_trainings_took(mini_book):
    chapter = mini_book.find("01")
    for seconds, values, longest in [(100.0, {}, 100.0), (5.0, {}, 100.0), (7.0, {"count": 4}, 7.0)]:
        record(mini_book.run_folder("quick"), chapter, "quick", values, seconds)
        entry = read_manifest(mini_book.run_folder("quick"))["01_cubes"]
        assert (entry["seconds"], entry["longest_seconds"]) == (seconds, longest)
    del entry["parameters"]["count"]  # as one that the chapter did not have then
    (mini_book.run_folder("quick") / "manifest.json").write_text(json.dumps({"chapters": {"01_cubes": entry}}))
    record(mini_book.run_folder("quick"), chapter, "quick", {"count": 4}, 3.0)
    assert read_manifest(mini_book.run_folder("quick"))["01_cubes"]["longest_seconds"] == 7.0


def test_a_chapter_opened_in_its_folder_works_from_the_root(mini_book, monkeypatch):
    for folder in (mini_book.folder, mini_book.root):
        monkeypatch.chdir(folder)
        at_root()
        assert Path.cwd() == mini_book.root.resolve()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"chapters": []}',
        '{"chapters": {"01": 3}}',
        '{"chapters": {"01": {}}}',
        "\xff",
        "[" * 100_000,
    ]
    + [f'{{"chapters": {{"01": {{"seconds": {seconds}}}}}}}' for seconds in ('"many"', "null", "[]")],
)
def test_a_broken_manifest_is_named(tmp_path, text):
    (tmp_path / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(BookError, match=r"manifest\.json cannot be read .*: remove it and run the chapters again$"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", "\xff"])
def test_a_broken_notebook_of_a_run_is_named(mini_book, tmp_path, text):
    for chapter in mini_book.chapters:
        shutil.copy(chapter.notebook, tmp_path)
    (tmp_path / "01_cubes.ipynb").write_bytes(text.encode("latin-1"))
    with pytest.raises(
        BookError, match=r"01_cubes\.ipynb cannot be read as a notebook .*: run `tpl run 01_cubes` again$"
    ):
        executed_notebooks(mini_book, tmp_path)


def test_cleaning_drops_widgets_notes_and_paths(tmp_path):
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}, "text/plain": "0%|"}
    outputs = [
        nbformat.v4.new_output("display_data", data=dict(widget)),
        nbformat.v4.new_output("display_data", data=widget | {"image/png": f"AA{Path.home()}/AA"}),
        nbformat.v4.new_output("stream", text=f"read {tmp_path}/data/a.npz for {Path.home()}/cache"),
    ]
    cell = nbformat.v4.new_code_cell("1", outputs=outputs, metadata={"papermill": {}, "execution": {}, "tags": ["a"]})
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"papermill": {}, "widgets": {}})
    clean = cleaned(notebook, tmp_path)
    assert clean.metadata == {} and clean.cells[0].metadata == {"tags": ["a"]}
    picture, stream = clean.cells[0].outputs
    assert set(picture["data"]) == {"image/png", "text/plain"} and stream["text"] == "read data/a.npz for ~/cache"
    assert picture["data"]["image/png"] == f"AA{Path.home()}/AA"
    assert len(cell.outputs) == 3  # the given notebook stays


# --- the site


def test_the_site_shows_the_run_below_each_title(built_book):
    html = (built_book.root / "_build" / "html" / "book" / "01_cubes.html").read_text()
    assert "The run that this page shows" in html and "Profile <strong>smoke</strong> on" in html
    html = html[html.index("<h1>") :]
    assert html.index("The run that this page shows") < html.index("Is a cube square")
    first = (built_book.root / "_build" / "html" / "book" / "intro.html").read_text()
    first = first[first.index("<h1>") :]
    assert first.index("Its first page") < first.index("The run that this page shows")  # nobody has to read it first
    assert "1 · Cubes" in re.search("<h1>(.*?)</h1>", html, re.DOTALL)[1]


def test_the_site_numbers_cites_and_refers(built_book):
    pages = built_book.root / "_build" / "html" / "book"
    cubes, intro = (re.sub(r"<[^>]+>", "", (pages / f"{name}.html").read_text()) for name in ("01_cubes", "intro"))
    assert "Eq. 1 and Table 1 do." in cubes and "Park et al. [2019]" in cubes
    assert "the area is 4, see 1 · Cubes and Eq. 1." in " ".join(intro.split())
    assert "DeepSDF: learning continuous" in (pages / "bibliography.html").read_text()


def test_the_site_asks_nobody_and_every_link_leads_somewhere(built_book):
    site = built_book.root / "_build" / "html"
    assert broken_links(site) == []
    for page in (site / "book").glob("*.html"):
        assert not re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=\"(?:https?:)?//[^\"]*", page.read_text())
    (site / "book" / "odd.html").write_text(
        '<a href="nowhere.html"></a><a href="intro.html#no"></a><a href="#a" id="a">'
    )
    assert broken_links(site) == ["book/odd.html: nowhere.html", "book/odd.html: intro.html#no"]
    (site / "book" / "odd.html").unlink()


def test_a_published_run_of_an_edition_with_fewer_chapters_has_their_pages(built_book, tmp_path):
    run = built_book.run_folder("smoke")
    earlier = tmp_path / "executed"
    shutil.copytree(run, earlier)
    (earlier / "01_cubes.ipynb").unlink()
    with pytest.raises(BookError, match="not executed .*01_cubes"):
        executed_notebooks(built_book, earlier)
    notebooks = executed_notebooks(built_book, earlier, whole=False)
    stage(built_book, earlier, notebooks, tmp_path / "staged")
    pages = {path.stem for path in (tmp_path / "staged" / "book").iterdir() if path.is_file()}
    contents = (tmp_path / "staged" / "_toc.yml").read_text()
    assert pages == {"intro", "bibliography"} and "Solids" not in contents and "book/bibliography" in contents
    (earlier / "intro.ipynb").unlink()
    with pytest.raises(BookError, match="not executed .*intro"):
        executed_notebooks(built_book, earlier, whole=False)


def test_facts_tell_of_loaded_trainings_gpus_and_newer_text(built_book):
    chapter = built_book.find("01")
    entry = read_manifest(built_book.run_folder("smoke"))["01_cubes"]
    told = facts(chapter, entry | {"seconds": 12.4, "longest_seconds": 340.0, "gpu": True, "device": "H", "source": ""})
    assert "on a GPU (H), in 12 s with its trainings loaded; with them it took 6 min." in told
    assert "The chapter's text has changed since." in told
    assert "loaded" not in facts(chapter, entry) and "changed since" not in facts(chapter, entry)


def test_a_warning_of_the_builder_stops_the_site_and_the_old_one_stays(built_book, tmp_path, capfd):
    run = tmp_path / "run"
    for name, notebook in executed_notebooks(built_book, built_book.run_folder("smoke")).items():
        notebook.cells[0].source += "\n\n[nothing](nowhere.md)"
        run.mkdir(exist_ok=True)
        nbformat.write(notebook, run / f"{name}.ipynb")
    for scene in (built_book.run_folder("smoke") / "_scenes").rglob("*.html"):
        target = run / "_scenes" / scene.parent.name / scene.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(scene.read_text())
    before = (built_book.root / "_build" / "html" / "book" / "intro.html").read_text()
    with pytest.raises(BookError, match="Jupyter Book's warnings above count as errors"):
        build_site(built_book, run)
    assert "nowhere.md" in capfd.readouterr().err
    assert (built_book.root / "_build" / "html" / "book" / "intro.html").read_text() == before


def test_of_the_whole_book_only_what_changed_is_executed_and_all_that_follows(mini_book, monkeypatch):
    """The book of two pages: 01_cubes, then intro. Copying a notebook stands for its execution."""

    def execute(book, chapter, values, folder, kernels, variables):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(chapter.notebook, folder)

    monkeypatch.setattr(chapters, "_execute", execute)

    def executed(**options) -> list[str]:
        told: list[str] = []
        run_chapters(mini_book, profile="smoke", say=told.append, **options)
        return [line.split("] ")[1].split(":")[0] for line in told if "]" in line and "kept" not in line]

    assert executed() == ["01_cubes", "intro"]
    assert executed() == []
    assert executed(given={"count": "4"}) == ["01_cubes", "intro"]
    time.sleep(1.1)  # the manifest counts in seconds
    assert executed(names=["01"]) == ["01_cubes"]  # named, so executed; back to the profile's own count
    assert executed() == ["intro"]  # it is older than what it reads
    (mini_book.run_folder("smoke") / "01_cubes.ipynb").unlink()
    assert executed() == ["01_cubes", "intro"]
    intro = mini_book.find("intro").source
    intro.write_text(intro.read_text() + "\nMore.\n")
    pair(mini_book)
    assert executed() == ["intro"]
    assert executed(again=True) == ["01_cubes", "intro"]


@pytest.fixture
def three_chapters(mini_book, monkeypatch):
    """A book of 01_cubes, 02_cubes and intro, which needs the first; copying a notebook stands for an execution."""
    book, begun = mini_book, {}
    (book.folder / "02_cubes.md").write_text(book.find("01").source.read_text())
    contents = book.root / "_toc.yml"
    contents.write_text(contents.read_text().replace("01_cubes\n", "01_cubes\n      - file: book/02_cubes\n"))
    (book.folder / "needs.yml").write_text("01_cubes: []\n02_cubes: []\nintro: [01_cubes]\n")
    pair(book)
    meeting = threading.Barrier(2)

    def execute(book, chapter, values, folder, kernels, variables):
        begun[chapter.name] = time.perf_counter()
        if values.get("color") == "blue" and chapter.name != "intro":
            meeting.wait(timeout=30)  # each waits for the other
        if values.get("fail") and chapter.name == "01_cubes":
            raise BookError(f"chapter {chapter.name} stopped")
        if values.get("side") == 0.5 and chapter.name == "01_cubes":
            raise OutOfTime("chapter 01_cubes is paused")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(chapter.notebook, folder)

    monkeypatch.setattr(chapters, "_execute", execute)
    return book, begun


def told_of(book, **options):
    """What is said of a run, and how it ended."""
    told: list[str] = []
    try:
        run_chapters(book, profile="smoke", say=told.append, **options)
    except (BookError, OutOfTime) as error:
        return told, error
    return told, None


def test_chapters_that_do_not_need_each_other_are_executed_at_once(three_chapters):
    book, begun = three_chapters
    told, error = told_of(book, given={"color": "blue"}, jobs=2)
    assert error is None and begun["intro"] > begun["01_cubes"]
    assert [line.split(":")[0] for line in told[:2]] == ["[1/3] 01_cubes", "[2/3] 02_cubes"] and len(told) == 6
    entries = read_manifest(book.run_folder("smoke"))
    assert "02_cubes" in entries["01_cubes"]["beside"] and "01_cubes" in entries["02_cubes"]["beside"]
    assert "01_cubes" not in entries["intro"]["beside"]
    assert "beside other chapters" in facts(book.find("01"), entries["01_cubes"])


def test_one_after_the_other_nothing_is_beside(three_chapters):
    book, _ = three_chapters
    assert told_of(book, jobs=1)[1] is None
    entries = read_manifest(book.run_folder("smoke"))
    assert [entry["beside"] for entry in entries.values()] == [[], [], []]
    assert "beside" not in facts(book.find("01"), entries["01_cubes"])


def test_what_needs_a_failed_chapter_is_left_out_and_the_same_call_goes_on(three_chapters):
    book, begun = three_chapters
    told, error = told_of(book, given={"fail": "true"}, jobs=1)
    assert isinstance(error, BookError)
    assert str(error) == "chapter 01_cubes stopped; not executed, as they need what failed: intro"
    assert set(begun) == {"01_cubes", "02_cubes"} and set(read_manifest(book.run_folder("smoke"))) == {"02_cubes"}
    begun.clear()
    assert str(told_of(book, given={"fail": "true"}, jobs=1)[1]) == str(error)
    assert set(begun) == {"01_cubes"}  # the other one is kept


def test_a_pause_is_told_once_what_goes_on_beside_has_ended(three_chapters):
    book, begun = three_chapters
    told, error = told_of(book, given={"side": "0.5", "color": "blue"}, jobs=2)
    assert isinstance(error, OutOfTime) and str(error) == "chapter 01_cubes is paused"
    assert set(begun) == {"01_cubes", "02_cubes"} and set(read_manifest(book.run_folder("smoke"))) == {"02_cubes"}


def test_of_a_book_with_needs_only_what_reads_a_change_is_executed_anew(three_chapters):
    book, begun = three_chapters
    told_of(book)
    begun.clear()
    assert told_of(book)[0] == [
        f"[{n}/3] {name}: kept: nothing it depends on has changed"
        for n, name in enumerate(["01_cubes", "02_cubes", "intro"], start=1)
    ]
    second = book.find("02").source
    second.write_text(second.read_text() + "\nMore.\n")
    pair(book)
    told_of(book)
    assert set(begun) == {"02_cubes"}  # which no other chapter needs
    begun.clear()
    time.sleep(1.1)  # the manifest counts in seconds
    told_of(book, names=["01"])
    told_of(book)
    assert set(begun) == {"01_cubes", "intro"}


def test_as_many_chapters_at_a_time_as_cores_and_memory_allow(monkeypatch):
    def machine(cores, free, gpu=False):
        monkeypatch.setattr(chapters.os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=free))
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)

    trains = [{"epochs": 3, "budget_minutes": 0.0}, {}]
    for cores, free, jobs in [(2, 20e9, 2), (8, 20e9, 3), (8, 100e9, 8), (2, 5e9, 1), (1, 50e9, 1)]:
        machine(cores, free)
        assert usual_jobs(trains) == jobs and has_room() == (free >= 6e9)
    machine(8, 100e9)
    assert usual_jobs([{"budget_minutes": 20.0}]) == 1  # it would take fewer steps beside others
    machine(8, 100e9, gpu=True)
    assert usual_jobs(trains) == 1


def test_a_wrong_value_is_told_before_anything_starts(mini_book):
    with pytest.raises(BookError, match="^no parameter 'cout'; did you mean count[?]$"):
        run_chapters(mini_book, given={"cout": "3"})
    with pytest.raises(BookError, match="^no profile 'smok'; there are quick, smoke; did you mean smoke[?]$"):
        run_chapters(mini_book, profile="smok")
    with pytest.raises(BookError, match="no chapter '01_cube5'; there are .*; did you mean 01_cubes[?]$"):
        run_chapters(mini_book, ["01_cube5"])
    assert not (mini_book.root / "runs").exists()


def test_a_published_run_is_clean_and_complete(built_book):
    folder = publish(built_book, "smoke")
    assert sorted(path.name for path in folder.iterdir()) == [
        "01_cubes.ipynb",
        "_scenes",
        "intro.ipynb",
        "manifest.json",
    ]
    text = (folder / "01_cubes.ipynb").read_text()
    assert str(built_book.root) not in text and "papermill" not in json.dumps(json.loads(text)["metadata"])
    assert set(read_manifest(folder)) == {"01_cubes", "intro"}
    chapter = built_book.find("01")
    source = chapter.source.read_text()
    try:
        chapter.source.write_text(source + "\nmore words\n")
        publish(built_book, "smoke")  # words need no run
        page = nbformat.read(folder / "01_cubes.ipynb", as_version=4)
        assert page.cells[-1].source == "more words" and len(page.cells[-2].outputs) > 0
        assert "injected-parameters" in str(page.cells) and read_manifest(folder)["01_cubes"]["revised"]
        assert "words were revised" in facts(chapter, read_manifest(folder)["01_cubes"])
        chapter.source.write_text(source.replace("side * count", "side + count"))
        with pytest.raises(BookError, match="01_cubes has changed since it was executed"):
            publish(built_book, "smoke")
    finally:
        chapter.source.write_text(source)


def test_a_missing_scene_page_is_named(built_book, tmp_path):
    for name, notebook in executed_notebooks(built_book, built_book.run_folder("smoke")).items():
        nbformat.write(notebook, Path(tmp_path) / f"{name}.ipynb")
    with pytest.raises(BookError, match="the page of scene 'pair' is not in"):
        build_site(built_book, tmp_path)


def test_a_run_on_other_shapes_lies_beside_that_of_the_profile(mini_book):
    assert mini_book.run_folder("quick", "open") == mini_book.root / "runs" / "quick-open" / "book"
    assert mini_book.run_folder("quick") == mini_book.root / "runs" / "quick" / "book"
    assert beside("data/quick", "") == "data/quick"
