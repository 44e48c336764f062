"""One source of hyperparameters: the command line trains what the chapter of the same name trains, in every profile."""

import json
import re
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest

from tpl.__main__ import evaluate, train
from tpl.book.book import Book, BookError
from tpl.book.commands import ROOT
from tpl.book.hyperparameters import GIVEN, chapter_config, choose, collection_config, given_by_hand
from tpl.book.parameters import parameters
from tpl.dataset.collection import QUICK, Collection, CollectionConfig
from tpl.dataset.store import StoreError
from tpl.errors import PlainError
from tpl.files import beside
from tpl.models import EncoderConfig
from tpl.settings import SettingsError
from tpl.study.bench import Bench
from tpl.study.methods import ENCODER, OUR_ENCODER, OUR_PHASE_1, PHASE_1
from tpl.study.phases import PHASES, check_given, configure
from tpl.training import embedding_config

BOOK = Book(ROOT)
PROFILES = ("quick", "smoke", "standard", "long", "paper")


@pytest.fixture
def bench(tmp_path):
    """With a phase 1 of unusual sizes."""
    for category in ("chairs", "sofas"):
        folder = tmp_path / category / "embedding"
        folder.mkdir(parents=True)
        config = embedding_config(model=dict(latent_dim=5, warp_steps=3)).model_dump(mode="json")
        (folder / "config.json").write_text(json.dumps({"data": "", **config}))
    return Bench(tmp_path, Collection(tmp_path / "data", CollectionConfig()), ("chairs", "sofas"))


def asked_for(phase, bench, profile="quick", **given):
    """What the command line asks for, by category."""
    asked = choose(BOOK, PHASES[phase].chapter, profile, given)
    return {name: configure(phase, asked.values, bench.of(name), asked.given) for name in bench.categories}


def in_the_chapter(number, bench, profile):
    """The names that a chapter has after the cell in which it asks for its configuration, as `tpl run` executes it."""
    text = BOOK.find(number).source.read_text()
    cells = re.findall(r"```\{code-cell\}[^\n]*\n(.*?)```", text, re.DOTALL)
    cell = next(cell for cell in cells if "chapter_config(" in cell)
    names = dict(choose(BOOK, number, profile, {}).values)
    rooms = {
        "book": SimpleNamespace(begin=lambda: None, chapter_config=chapter_config),
        "study": SimpleNamespace(
            Bench=SimpleNamespace(open=lambda *_, **__: bench),
            ENCODER=ENCODER,
            OUR_ENCODER=OUR_ENCODER,
            PHASE_1=PHASE_1,
            OUR_PHASE_1=OUR_PHASE_1,
        ),
    }
    names |= {**rooms, "bench": bench, "categories": bench.categories}
    exec(cell, names)
    return names


@pytest.fixture
def run_by_tpl(monkeypatch):
    monkeypatch.setenv(GIVEN, "")
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_command_line_asks_for_what_the_chapter_asks_for(bench, run_by_tpl, profile):
    decoders = in_the_chapter("03", bench, profile)["configs"]
    for phase in (PHASE_1, OUR_PHASE_1):
        assert {name: decoders[name, phase] for name in bench.categories} == asked_for(phase, bench, profile)
    encoders = in_the_chapter("04", bench, profile)["configs"]
    assert encoders[ENCODER] == asked_for("encoder", bench, profile)["sofas"]
    assert encoders[OUR_ENCODER] == asked_for("our_encoder", bench, profile)["sofas"]
    assert in_the_chapter("05", bench, profile)["config"] == asked_for("contrastive", bench, profile)["sofas"]
    config = in_the_chapter("06", bench, profile)["config"]
    assert config == asked_for("end_to_end", bench, profile)["sofas"] and config.start == "random"
    contrastive = config.model_copy(update={"start": "contrastive"})  # as the chapter makes it
    assert contrastive == asked_for("end_to_end_contrastive", bench, profile)["sofas"]


@pytest.mark.parametrize("profile", PROFILES)
def test_papermill_with_a_profile_alone_asks_for_the_same(bench, run_by_tpl, profile, monkeypatch):
    by_tpl = in_the_chapter("03", bench, profile)["configs"]
    monkeypatch.delenv(GIVEN)
    assert in_the_chapter("03", bench, profile)["configs"] == by_tpl


def test_a_profile_changes_what_its_file_says_and_chairs_have_epochs_of_their_own(bench):
    quick, smoke = (asked_for("embedding", bench, profile) for profile in ("quick", "smoke"))
    assert (quick["chairs"].epochs, quick["sofas"].epochs) == (465, 280)
    assert smoke["chairs"].epochs == 300 and smoke["chairs"].model.latent_dim == 8
    assert smoke["chairs"].warp_rate == quick["chairs"].warp_rate == 0.003


def test_the_papers_decoder_has_no_coordinates_beside_space_and_ours_has_a_pull_of_its_own(bench):
    given = dict(ambient_dim="3", pointwise_weight="0.02", ambient_pointwise_weight="0.002")
    papers, ours = (asked_for(phase, bench, **given)["sofas"] for phase in ("embedding", "our_embedding"))
    assert (papers.model.ambient_dim, papers.ambient_weight, papers.pointwise_weight) == (0, 0, 0.02)
    assert (ours.model.ambient_dim, ours.ambient_weight, ours.pointwise_weight) == (3, 0.01, 0.002)
    differ = {name for name, value in papers.model_dump().items() if value != ours.model_dump()[name]}
    assert differ == {"model", "ambient_weight", "pointwise_weight"}


def test_a_decoder_has_the_sizes_of_phase_1(bench):
    config = asked_for("end_to_end", bench)["chairs"]
    assert (config.model.latent_dim, config.model.warp_steps, config.encoder.latent_dim) == (5, 3, 5)


def test_our_encoder_has_what_it_has_beside_the_papers_and_the_papers_has_none_of_it(bench):
    ours, plain = (asked_for(phase, bench)["sofas"] for phase in ("our_encoder", "encoder"))
    assert (ours.encoder.crop, ours.encoder.channels, ours.encoder.pool, ours.encoder.camera) == (True, "mask", 2, True)
    assert (ours.jitter, ours.hue, plain.jitter, plain.hue) == (0, 0, 0.4, 0.4)
    assert plain.encoder == EncoderConfig(width=plain.encoder.width)
    assert (plain.muon_rate, plain.camera_weight, plain.brightness, plain.sharp) == (0, 0, 0, False)
    blind = asked_for("our_encoder", bench, camera_weight="0", crop="false", pool="1")["sofas"]
    assert (blind.encoder.camera, blind.encoder.crop, blind.encoder.pool) == (False, False, 1)


def test_a_preset_goes_before_the_profile_and_what_was_given_by_hand_before_the_preset(bench):
    rates = [
        asked_for("embedding", bench, "standard", **given)["sofas"].template_rate
        for given in ({}, {"preset": "authors"}, {"preset": "authors", "template_rate": "0.01"})
    ]
    assert rates == [5e-4, 1e-3, 1e-2]
    by_hand = asked_for("embedding", bench, preset="authors", template_rate="0.003")  # the chapter's own value
    assert by_hand["sofas"].template_rate == 0.003 and by_hand["sofas"].muon_rate == 0
    assert (
        asked_for("encoder", bench, preset="authors", **{"encoder.head_layers": "2"})["sofas"].encoder.head_layers == 2
    )
    assert asked_for("end_to_end", bench, trunk="frozen")["sofas"].trunk == "frozen"  # no parameter of the chapter


def test_a_chapter_knows_what_was_given_by_hand(monkeypatch):
    defaults = parameters(BOOK.find("03"))
    values = defaults | {"preset": "authors", "epochs": 3, "template_rate": 0.003}
    monkeypatch.delenv(GIVEN, raising=False)
    assert given_by_hand(values, defaults) == {"preset", "epochs"}  # papermill alone does not say
    monkeypatch.setenv(GIVEN, "preset template_rate")
    assert given_by_hand(values, defaults) == {"preset", "template_rate"}


def test_what_a_preset_settles_its_profile_does_not_say_otherwise(bench):
    for profile in PROFILES:
        for phase, spec in PHASES.items():
            chosen = BOOK.profile(profile, BOOK.find(spec.chapter))
            fields = spec.parameters("sofas")
            for field, value in spec.presets.get(chosen.get("preset", "fixed"), {}).items():
                if chosen.get("preset", "fixed") != "fixed" and fields.get(field) in chosen:
                    assert chosen[fields[field]] == pytest.approx(value), f"{profile}, {phase}: {field}"


@pytest.mark.parametrize(
    ("phase", "name", "categories"),
    [
        ("embedding", "epochz", ("sofas",)),
        ("embedding", "resolution", ("sofas",)),  # of the chapter, not of the training
        ("embedding", "epochs", ("chairs",)),  # chairs_epochs
        ("encoder", "rotation", ("sofas",)),  # our variant's
        ("encoder", "crop", ("sofas",)),
        ("our_encoder", "epochs", ("sofas",)),  # epochs_sdf
        ("our_encoder", "hue", ("sofas",)),  # the plain encoder's
        ("our_encoder", "preset", ("sofas",)),  # for the plain encoder
        ("embedding", "ambient_dim", ("sofas",)),  # the paper's has none
        ("our_embedding", "pointwise_weight", ("sofas",)),  # ambient_pointwise_weight
        ("our_embedding", "preset", ("sofas",)),
        ("embedding", "processes", ("sofas",)),  # `accelerate launch` starts them
    ],
)
def test_what_a_training_would_pass_over_is_refused(phase, name, categories):
    with pytest.raises(SettingsError, match=f"{name} is no setting of {phase}, which would pass over it; there are "):
        check_given(phase, [name], categories)


@pytest.mark.parametrize(
    ("phase", "given", "sentence"),
    [
        ("embedding", {"epochs": "{"}, "parameter epochs is int (default 280), and '{' is not"),
        ("embedding", {"trunk": "{"}, "trunk = '{' is not YAML: while parsing"),
        ("embedding", {"epochs": "-3"}, "epochs = -3: it must be greater than 0"),
        (
            "embedding",
            {"model": "3", "model.latent_dim": "4"},
            "model = 3 and model.latent_dim = 4 cannot both be: give the fields alone",
        ),
        ("encoder", {"encoder.widht": "4"}, "there is no parameter 'encoder.widht'; there are latent_dim, "),
        ("encoder", {"encoder.widht": "4"}, "; did you mean width?"),
    ],
)
def test_a_wrong_value_is_one_sentence_whatever_it_is(bench, phase, given, sentence):
    with pytest.raises(PlainError, match=re.escape(sentence)) as caught:
        asked_for(phase, bench, **given)
    assert "\n" not in str(caught.value)


def test_a_misspelt_setting_is_known():
    with pytest.raises(SettingsError, match="; did you mean code_rate[?]$"):
        check_given("embedding", ["code_rat"], ("sofas",))


def test_what_a_training_looks_at_is_taken():
    check_given("embedding", ["epochs", "preset", "model.warp_steps", "data", "inside_share"], ("chairs", "sofas"))


def test_a_wrong_preset_or_value_is_named(bench):
    with pytest.raises(BookError, match="preset = 'author': one of paper, authors, fixed; did you mean authors[?]"):
        asked_for("embedding", bench, preset="author")
    with pytest.raises(SettingsError, match="encoder.depth"):
        asked_for("encoder", bench, **{"encoder.depth": "3"})


def test_the_readmes_line_for_several_gpus_trains_what_the_chapters_of_standard_read(bench, run_by_tpl):
    (line,) = re.findall(r"`accelerate launch -m tpl (train [^`]*)`", (ROOT / "README.md").read_text())
    assert shlex.split(line) == ["train", "embedding", "--profile", "standard"]
    asked = choose(BOOK, "03", "standard", {})
    for chapter in BOOK.chapters:
        values = choose(BOOK, chapter.name, "standard", {}).values
        if "runs" in values and chapter.name != "12_real_shapes":  # which shows trainings of quick
            assert Path(beside(values["runs"], values.get("source", ""))) == asked.runs, chapter.name
            assert Path(beside(values["data"], values.get("source", ""))) == asked.data, chapter.name


def test_a_collection_is_asked_for_as_the_chapter_of_shapes_has_it():
    config = collection_config(choose(BOOK, "01", "standard", {}).values)
    assert (config.source, config.train, config.prepare.image_size) == ("procedural+open", 1024, 224)
    assert collection_config(choose(BOOK, "01", "quick", {}).values) == QUICK


@pytest.mark.parametrize("command", [lambda **where: train("embedding", **where), evaluate])
def test_a_folder_that_is_not_there_is_not_made(tmp_path, command):
    with pytest.raises(StoreError, match="no prepared shapes in .*typo: run `tpl prepare --profile smoke`, or name"):
        command(profile="smoke", data=tmp_path / "typo", runs=tmp_path / "runs")
    assert list(tmp_path.iterdir()) == []
