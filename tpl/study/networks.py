"""The networks of a finished run as they come with the package: written, described, and shown by chapters."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

from tpl.border import border, read_json
from tpl.evaluation.results import read_results
from tpl.evaluation.summary import format_summary, summarize
from tpl.files import write_folder
from tpl.finishing import write_labels
from tpl.pretrained import files
from tpl.pretrained.doubt import COUNTS, FILE, LEVEL, Doubt, mode_of
from tpl.pretrained.files import (
    DECODER,
    ENCODER,
    FORMAT,
    LARGEST,
    MANIFEST,
    PARTS,
    NetworksError,
    check_networks,
    file_hash,
    has_networks,
    read_manifest,
)
from tpl.pretrained.sorting import FILE as SORTER
from tpl.settings import SettingsError
from tpl.study.bench import Bench
from tpl.study.doubting import learn_sorter, measure_doubt
from tpl.study.judging import results_file
from tpl.study.methods import MEAN_SHAPE, NEAREST_PIXELS, ORACLE_CODE, OUR_ENCODER, trained_methods
from tpl.study.part_labels import part_labels_of_template

TRAININGS = (DECODER, ENCODER)
"""The run folders of our row: its decoder and its encoder."""

Networks = Literal["auto", "run", "committed"]


def commit_networks(bench: Bench, profile: str, folder: Path | None = None) -> Path:
    """Writes our encoder and its decoder of every category, with cards and results, in the place of what was there.

    Args:
        bench: Of a run that is trained and judged on its test split.
        profile: Its name.
        folder: Where they go; by default where they come with the package.

    Raises:
        RunError: A training is missing.
        ResultsError: A category was not judged.
        NetworksError: It was judged with other weights, or its networks are too large.
    """

    def fill(target: Path) -> None:
        digests = bench.each(_write_category, profile=profile, target=target)
        if len(bench.categories) > 1:
            learn_sorter(bench).save(target / SORTER)
        written = sorted(path for path in target.rglob("*") if path.is_file())
        hashes = {path.relative_to(target).as_posix(): file_hash(path) for path in written}
        manifest = {"format": FORMAT, "profile": profile, "weights": digests, "files": hashes}
        (target / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")

    write_folder(folder or files.PACKAGED, fill)
    return folder or files.PACKAGED


def served(bench: Bench, networks: str = "auto", folder: Path | None = None) -> Bench:
    """The bench of the networks that a chapter shows; what is made of them is kept where the run's is.

    Args:
        bench: Of a run.
        networks: "run": those that the run trained; "committed": those that come with the package; "auto": the run's
            where all of its categories have an encoder, else those that come with the package, if they do.
        folder: Where these lie, if not in the package.

    Raises:
        SettingsError: There is no such choice.
        NetworksError: As `check_networks`.
    """
    if networks not in get_args(Networks):
        raise SettingsError(f"networks is {networks!r}; there are {', '.join(get_args(Networks))}")
    if networks == "auto":
        trained = all(trained_methods(bench.of(name).folder) for name in bench.categories)
        come = all(has_networks(name, folder) for name in bench.categories)
        networks = "run" if trained or not come else "committed"
    if networks == "run":
        return bench
    places = [check_networks(name, folder) for name in bench.categories]
    return replace(bench, runs=places[0].parent, kept_in=bench.shelf)


def origin(bench: Bench) -> str:
    """Where the networks of a bench come from and how long they took, in words."""
    file = bench.runs / MANIFEST
    if not file.exists():
        return f"the networks of {bench.runs}"
    costs = {name: _cost(bench.of(name)) for name in bench.categories}
    told = ", ".join(f"{name} {seconds / 60:.0f} minutes" for name, (seconds, _) in costs.items())
    machine = " and ".join(dict.fromkeys(device for _, device in costs.values()))
    profile = read_manifest(file)["profile"]
    return f"networks that come with the package, of profile {profile}, trained on {machine}: {told}"


def _cost(bench: Bench) -> tuple[float, str]:
    """Seconds of a category's two trainings together, and the device."""
    facts = [bench.run(name).facts() for name in TRAININGS]
    return sum(fact["seconds"] for fact in facts), facts[0]["device"]


def _write_category(bench: Bench, profile: str, target: Path) -> dict[str, str]:
    """Writes a category's files; returns the hashes of the run's own weights."""
    results, digests = results_file(bench), {name: bench.run(name).digest() for name in TRAININGS}
    rows = read_results(results)
    key_file = results.with_suffix(".json")
    with border(key_file, "run `tpl evaluate` again", NetworksError):
        judged = read_json(key_file, "run `tpl evaluate` again", NetworksError)["runs"].get(OUR_ENCODER)
    if judged != digests[TRAININGS[1]]:
        raise NetworksError(f"{results} is of other weights than {bench.folder} holds: run `tpl evaluate` again")
    place = target / bench.category
    sizes = {name: bench.run(name).write_half(place / name) for name in digests}
    if sum(sizes.values()) > LARGEST:
        told = " and ".join(f"{name} {size:,}" for name, size in sizes.items())
        raise NetworksError(f"{bench.category}: {told} bytes are more than {LARGEST:,}: train with a smaller width")
    (target / "results").mkdir(exist_ok=True)
    doubt = measure_doubt(bench)
    doubt.save(place / FILE)
    if any(shape.source == "procedural" for shape in bench.shapes("coded")):  # others do not know their parts
        write_labels(part_labels_of_template(bench), place / PARTS)
    shutil.copyfile(results, target / "results" / results.name)
    scores = summarize(rows.loc[rows["method"].isin([OUR_ENCODER, NEAREST_PIXELS, MEAN_SHAPE, ORACLE_CODE])])
    (place / "card.md").write_text(
        _card(bench, profile, sum(sizes.values()), format_summary(scores), doubt), encoding="utf-8"
    )
    return digests


def _card(bench: Bench, profile: str, size: int, scores: Any, doubt: Doubt) -> str:
    """A model card in plain words.

    Source: Mitchell et al. 2019, Model cards for model reporting.
    """
    config, collection = bench.run(TRAININGS[1]).config(), bench.collection.config
    seconds, device = _cost(bench)
    columns = ["method", "view", "shapes", "mean", "95 %", "median", "F-score", "failed"]
    table = scores[columns].astype(str)
    rows = [columns, ["---"] * len(columns), *table.to_numpy().tolist()]
    seen, coded = len(bench.shapes("seen")), len(bench.shapes("coded"))
    return CARD.format(
        category=bench.category,
        profile=profile,
        decoder=TRAININGS[0],
        encoder=TRAININGS[1],
        pixels=config["encoder"]["image_size"],
        numbers=config["encoder"]["latent_dim"],
        size=f"{size / 1e6:.1f}",
        coded=coded,
        others=seen - coded,
        source=collection.source,
        minutes=f"{seconds / 60:.0f}",
        device=device,
        split=len(bench.shapes("test")),
        table="\n".join(f"| {' | '.join(row)} |" for row in rows),
        doubt=_doubt_in_words(doubt),
    )


def _doubt_in_words(doubt: Doubt) -> str:
    if not doubt.calibrations:
        return "How far a picture is from those of training shapes; too few shapes were held out for an interval."
    said = {True: "fitted to the silhouette", False: "of the encoder itself"}
    pictures = {count: f"to {('one picture', 'two', 'three')[count - 1]}" for count in COUNTS}
    told = [
        f"{one.kept:.0%} ({one.tested:.0%}) of answers {pictures[count]}, {said[fitted]}"
        for count in COUNTS
        for fitted in said
        if (one := doubt.calibrations.get(mode_of(fitted, count)))
    ]
    shapes = max(one.shapes for one in doubt.calibrations.values())
    return (
        f"Intervals of the Chamfer distance that are said to hold for {LEVEL:.0%} of unseen made shapes are calibrated "
        f"on {shapes} validation shapes. On shapes that were left out of these (in brackets: on the test shapes, whose "
        f"styles are others) they held for {'; '.join(told)}."
    )


CARD = """# Networks for {category}

**What they are.** An encoder (`{encoder}`), which sees one picture of {pixels} x {pixels} pixels and answers with \
{numbers} numbers, and a decoder (`{decoder}`: warp, template, the codes of the training shapes), which makes a \
signed distance of them. Both are of this book, after Ho et al. 2021 and Zheng et al. 2021, with what the book adds \
to them. Weights are 16-bit floats, {size} MB in all.

**Trained on.** Shapes of the source `{source}`: {coded} with a code of their own, and {others} more that only the \
encoder has learnt from. Made shapes are drawn by the rules of `tpl.shapes.procedural`: no one's work, free of any \
licence but this repository's. No test shape had a say in any setting.

**How long.** Profile `{profile}`: {minutes} minutes by the clock for both trainings together, beside whatever else \
the machine did, on {device}.

**What they score.** Chamfer distance x 1000 (squared, in units of the bounding box's diagonal) and F-score at .01 \
on the {split} test shapes, whose styles no network was trained on; "fix" is one camera, "rnd" random ones. Less is \
better. The other rows are what to compare with: the training shape whose picture is most similar, always the same \
shape, and the best code there is, which no picture gives away.

{table}

**What they know of their doubt.** {doubt}

**What they are for.** To show what the method of the book does, without an hour of training: the book's pictures, \
`tpl reconstruct`, and whoever wants to go on from there.

**What they cannot do.** They know {category} alone, and answer every picture with one. They know the kinds that the \
rules make: another design comes out as the nearest that they can make. They have seen one object alone on white, \
from 0 to 45 degrees above; a photograph must be cut out and framed so, as `tpl reconstruct` does, and its answer is \
a guess, more so for the side that is not seen. Thin parts, such as slats and spindles, may be lost. Do not measure \
by them, nor build on a size or a load that they seem to show.

**Licence.** That of this repository (MIT).
"""
