"""Networks that come with the book: a finished run's, in half precision, small enough for the repository.

book/executed/networks/
    manifest.json                            format, profile, the run's weights by hash, and a hash of every file
    results/<category>_test.csv              the rows of the run's evaluation
    <category>/card.md                       what they are, what they score, and what they cannot do
    <category>/{our_embedding,our_encoder}/  run folders whose weights have 16 bits

So it is a folder of runs like any other, and whatever reads one reads it.
"""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

from tpl.errors import PlainError
from tpl.evaluation.results import read_results
from tpl.evaluation.summary import format_summary, summarize
from tpl.files import write_folder
from tpl.inference import Reconstructor
from tpl.settings import SettingsError
from tpl.study.bench import Bench
from tpl.study.judging import results_file
from tpl.study.methods import ENCODERS, MEAN_SHAPE, NEAREST_PIXELS, ORACLE_CODE, OUR_ENCODER, trained_methods

COMMITTED = Path(__file__).parents[2] / "book" / "executed" / "networks"
TRAININGS = (ENCODERS[OUR_ENCODER].decoder, ENCODERS[OUR_ENCODER].folder)
"""The run folders of our row: its decoder and its encoder."""

MANIFEST = "manifest.json"
FORMAT = 1
LARGEST = 3_000_000
"""Bytes of a category's weights at the most: a clone carries them for ever."""

Networks = Literal["auto", "run", "committed"]


class NetworksError(PlainError):
    """Networks that come with the book are not there, or not as they were written; the message says what to do."""


def commit_networks(bench: Bench, profile: str, folder: Path | None = None) -> Path:
    """Writes our encoder and its decoder of every category, with cards and results, in the place of what was there.

    Args:
        bench: Of a run that is trained and judged on its test split.
        profile: Its name.
        folder: Where they go; by default where they come with the book.

    Raises:
        RunError: A training is missing.
        ResultsError: A category was not judged.
        NetworksError: It was judged with other weights, or its networks are too large.
    """

    def fill(target: Path) -> None:
        digests = {name: _write_category(bench.of(name), profile, target) for name in bench.categories}
        files = sorted(path for path in target.rglob("*") if path.is_file())
        hashes = {path.relative_to(target).as_posix(): _hash(path) for path in files}
        manifest = {"format": FORMAT, "profile": profile, "weights": digests, "files": hashes}
        (target / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")

    write_folder(folder or COMMITTED, fill)
    return folder or COMMITTED


def has_networks(category: str, folder: Path | None = None) -> bool:
    """Whether networks of a category come with the book."""
    file = (folder or COMMITTED) / MANIFEST
    return file.exists() and category in _read_manifest(file)["weights"]


def load_networks(category: str, device: str = "cpu", folder: Path | None = None) -> Reconstructor:
    """The networks of a category that come with the book, of 32 bits in memory; raises as `check_networks`."""
    return ENCODERS[OUR_ENCODER].load(check_networks(category, folder), device)


def check_networks(category: str, folder: Path | None = None) -> Path:
    """The category's folder of trainings among the networks that come with the book.

    Raises:
        NetworksError: There are none, they are of another format, or a file is not the one that was written.
    """
    folder = folder or COMMITTED
    if not has_networks(category, folder):
        raise NetworksError(f"no networks of {category} come with the book in {folder}: `make long` trains them")
    for name, expected in _read_manifest(folder / MANIFEST)["files"].items():
        file = folder / name
        if category in name and (not file.exists() or _hash(file) != expected):
            raise NetworksError(f"{file} is not the file that {MANIFEST} beside it tells of: check it out anew")
    return folder / category


def served(bench: Bench, networks: str = "auto", folder: Path | None = None) -> Bench:
    """The bench of the networks that a chapter shows; what is made of them is kept where the run's is.

    Args:
        bench: Of a run.
        networks: "run": those that the run trained; "committed": those that come with the book; "auto": the run's where
            all of its categories have an encoder, else those that come with the book, if they do.
        folder: Where these lie, if not in the book.

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
    profile = _read_manifest(file)["profile"]
    return f"networks that come with the book, of profile {profile}, trained on {machine}: {told}"


def _cost(bench: Bench) -> tuple[float, str]:
    """Seconds of a category's two trainings together, and the device."""
    facts = [bench.run(name).facts() for name in TRAININGS]
    return sum(fact["seconds"] for fact in facts), facts[0]["device"]


def _write_category(bench: Bench, profile: str, target: Path) -> dict[str, str]:
    """Writes a category's files; returns the hashes of the run's own weights."""
    results, digests = results_file(bench), {name: bench.run(name).digest() for name in TRAININGS}
    rows = read_results(results)
    judged = json.loads(results.with_suffix(".json").read_text())["runs"].get(OUR_ENCODER)
    if judged != digests[TRAININGS[1]]:
        raise NetworksError(f"{results} is of other weights than {bench.folder} holds: run `tpl evaluate` again")
    place = target / bench.category
    sizes = {name: bench.run(name).write_half(place / name) for name in digests}
    if sum(sizes.values()) > LARGEST:
        told = " and ".join(f"{name} {size:,}" for name, size in sizes.items())
        raise NetworksError(f"{bench.category}: {told} bytes are more than {LARGEST:,}: train with a smaller width")
    (target / "results").mkdir(exist_ok=True)
    shutil.copyfile(results, target / "results" / results.name)
    scores = summarize(rows.loc[rows["method"].isin([OUR_ENCODER, NEAREST_PIXELS, MEAN_SHAPE, ORACLE_CODE])])
    (place / "card.md").write_text(_card(bench, profile, sum(sizes.values()), format_summary(scores)), encoding="utf-8")
    return digests


def _card(bench: Bench, profile: str, size: int, scores: Any) -> str:
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

**What they are for.** To show what the method of the book does, without an hour of training: the book's pictures, \
`tpl reconstruct`, and whoever wants to go on from there.

**What they cannot do.** They know {category} alone, and answer every picture with one. They know the kinds that the \
rules make: another design comes out as the nearest that they can make. They have seen one object alone on white, \
from 0 to 45 degrees above; a photograph must be cut out and framed so, as `tpl reconstruct` does, and its answer is \
a guess, more so for the side that is not seen. Thin parts, such as slats and spindles, may be lost. Do not measure \
by them, nor build on a size or a load that they seem to show.

**Licence.** That of this repository (MIT).
"""


def _read_manifest(file: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(file.read_text())
    except ValueError as error:
        raise NetworksError(f"{file} is not valid JSON: check it out anew") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else None
        raise NetworksError(f"{file} is of format {found}, and this library reads {FORMAT}: use that of its own commit")
    return manifest


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
