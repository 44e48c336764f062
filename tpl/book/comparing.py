"""Two runs beside each other: the settings and results that differ, as text, as a page and as a figure."""

import base64
import io
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from tpl.book.book import BookError
from tpl.book.listing import aligned
from tpl.book.manifest import read_manifest
from tpl.border import border, read_json
from tpl.evaluation.results import PROVENANCE, ResultsError, read_results
from tpl.evaluation.rows import NO_VIEW
from tpl.evaluation.summary import paired_difference, summarize
from tpl.files import check_file, write_file
from tpl.shapes.shape import CATEGORIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIGURES = (".png", ".svg", ".pdf")

KEYS = ["category", "split", "method", "view"]
"""Of what is judged, a mean each."""

CURVES = 9
"""Learning curves that a figure shows at most, where there are no results to show."""


class Comparison(NamedTuple):
    """What differs between two runs, a table each; one that has nothing to say is empty."""

    names: tuple[str, str]
    settings: pd.DataFrame  # of the trainings
    parameters: pd.DataFrame  # of the chapters
    seconds: pd.DataFrame  # of both
    results: pd.DataFrame
    notes: list[str]  # what is in one of them alone, and other things that no table says

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Those that say something, by their titles."""
        every = {
            "Settings of the trainings that differ": self.settings,
            "Parameters of the chapters that differ": self.parameters,
            f"Chamfer distance x 1000, and {self.names[1]} minus {self.names[0]} on the same shapes": self.results,
            "Seconds": self.seconds,
        }
        return {title: table for title, table in every.items() if len(table)}

    def text(self) -> str:
        """All of it for a terminal."""
        parts = [f"{title}\n{aligned([list(table), *table.to_numpy().tolist()])}" for title, table in self._texts()]
        if not len(self.settings) and not len(self.parameters):
            parts.insert(0, "No setting differs.")
        return "\n\n".join([*parts, *self.notes])

    def page(self, figure: bytes = b"") -> str:
        """All of it as an HTML page that needs no other file, with a figure (PNG) at its end."""
        first, second = map(escape, self.names)
        parts = [f"<h1>{first} and {second}</h1>", *(f"<p>{escape(note)}</p>" for note in self.notes)]
        for title, table in self._texts():
            parts.append(f"<h2>{escape(title)}</h2>\n{table.to_html(index=False, border=0)}")
        if figure:
            parts.append(f'<img alt="both runs" src="data:image/png;base64,{base64.b64encode(figure).decode()}">')
        head = f'<meta charset="utf-8"><title>{first} and {second}</title><style>{STYLE}</style>'
        return f'<!doctype html><html lang="en"><head>{head}</head><body>\n' + "\n".join(parts) + "\n</body></html>\n"

    def _texts(self) -> list[tuple[str, pd.DataFrame]]:
        return [(title, table.astype(str)) for title, table in self.tables.items()]


STYLE = """
body { font-family: sans-serif; color: #2b2b2b; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-size: 0.9rem; }
th, td { text-align: left; padding: 0.25rem 0.9rem 0.25rem 0; border-bottom: 1px solid #ececec; vertical-align: top; }
th { border-bottom: 1px solid #8c8c8c; font-weight: 600; }
img { max-width: 100%; margin-top: 1.5rem; }
"""


def compare_runs(first: Path, second: Path) -> Comparison:
    """What differs between two runs; each may lack what the other has.

    Args:
        first: A folder of trainings, results and executed chapters, as `runs/quick`.
        second: Another one.

    Raises:
        BookError: One of them is no run, or both are the same.
    """
    runs = [_Run.read(folder) for folder in (first, second)]
    if first.resolve() == second.resolve():
        raise BookError(f"{first} and {second} are the same folder: name two runs")
    names = (str(first), str(second))
    results, notes = _results(runs, names)
    for kind in ("trainings", "chapters"):
        found = [getattr(run, kind) for run in runs]
        for name, own, other in zip(names, found, reversed(found), strict=True):
            if alone := sorted(own.keys() - other.keys()):
                notes.append(f"Only in {name}, {kind}: {', '.join(_by_last(alone))}.")
    return Comparison(names, _settings(runs, names), _parameters(runs, names), _seconds(runs, names), results, notes)


def write_comparison(comparison: Comparison, output: Path) -> None:
    """Writes a comparison as a page (.html), or its figure (.png, .svg, .pdf).

    Raises:
        BookError: The file has another ending, or there is nothing to draw.
    """
    check_file(output)
    if output.suffix.lower() == ".html":
        page = comparison.page(_figure(comparison, "png") if _drawable(comparison) else b"")
        write_file(output, lambda path: path.write_text(page, encoding="utf-8"))
    elif output.suffix.lower() in FIGURES:
        if not _drawable(comparison):
            raise BookError("nothing to draw: the runs have neither results nor trainings in common")
        picture = _figure(comparison, output.suffix[1:].lower())
        write_file(output, lambda path: path.write_bytes(picture))
    else:
        raise BookError(f"{output}: a comparison is written as .html, {' or '.join(FIGURES)}")


SET_ASIDE = re.compile(r"\.\d+$")
"""At the end of a run folder that another training has taken the place of."""


class _Run(NamedTuple):
    """What there is of a run."""

    folder: Path
    trainings: dict[str, dict[str, Any]]  # settings by the run folder's place in the run
    facts: dict[str, dict[str, Any]]  # of those that are finished
    chapters: dict[str, Any]  # entries of the manifest
    results: dict[str, pd.DataFrame]  # by the file's name

    @classmethod
    def read(cls, folder: Path) -> "_Run":
        """Raises BookError where there is nothing of a run."""
        files = _trainings(folder)
        trainings = {name: _flat(_read(file)) for name, file in files.items()}
        done = {name: file.with_name("run.json") for name, file in files.items()}
        facts = {name: _read(file) for name, file in done.items() if file.exists()}
        for name, found in facts.items():
            with border(done[name], _anew(done[name]), BookError):
                float(found["seconds"])
        results = {file.stem: read_results(file) for file in sorted((folder / "results").glob("*.csv"))}
        whole = cls(folder, trainings, facts, read_manifest(folder / "book"), results)
        if not (whole.trainings or whole.chapters or whole.results):
            raise BookError(f"no run in {folder}: there are neither trainings nor results nor executed chapters")
        return whole


def _read(file: Path) -> dict[str, Any]:
    return read_json(file, _anew(file), BookError)


def _anew(file: Path) -> str:
    return f"move {file.parent} away and train anew"


def _trainings(folder: Path) -> dict[str, Path]:
    """The configurations of a run's trainings by the places of their folders, as "chairs/embedding"."""
    return {
        file.parent.relative_to(folder).as_posix(): file
        for category in CATEGORIES
        for file in sorted((folder / category).rglob("config.json"))
        if "state" not in file.parts and not SET_ASIDE.search(file.parent.name)
    }


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"model": {"latent_dim": 4}}` as `{"model.latent_dim": 4}`."""
    flat = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def _by_last(places: Sequence[str]) -> list[str]:
    """Run folders, those of one name together: "embedding (chairs, sofas)"."""
    groups: dict[str, list[str]] = {}
    for place in places:
        category, _, name = place.partition("/")
        groups.setdefault(name, []).append(category)
    return [f"{name} ({', '.join(of)})" if name else ", ".join(of) for name, of in groups.items()]


def _settings(runs: Sequence[_Run], names: tuple[str, str]) -> pd.DataFrame:
    """Differing settings of the trainings that both have; those that differ alike in several make one row."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    one, other = (run.trainings for run in runs)
    for place in (place for place in one if place in other):
        for setting in dict.fromkeys([*one[place], *other[place]]):
            values = [str(run[place].get(setting, "-")) for run in (one, other)]
            if values[0] != values[1]:
                label = "the shapes (a hash)" if setting == "data" else setting
                groups.setdefault((label, values[0], values[1]), []).append(place)
    rows = [(setting, ", ".join(_by_last(places)), a, b) for (setting, a, b), places in groups.items()]
    return pd.DataFrame(rows, columns=["setting", "of", *names])


def _parameters(runs: Sequence[_Run], names: tuple[str, str]) -> pd.DataFrame:
    rows = []
    one, other = (run.chapters for run in runs)
    for chapter in (name for name in one if name in other):
        first, second = (entry[chapter].get("parameters", {}) for entry in (one, other))
        for name in dict.fromkeys([*first, *second]):
            if first.get(name) != second.get(name):
                rows.append((chapter, name, first.get(name, "-"), second.get(name, "-")))
    return pd.DataFrame(rows, columns=["chapter", "parameter", *names])


def _seconds(runs: Sequence[_Run], names: tuple[str, str]) -> pd.DataFrame:
    """Seconds of what both have done, where they differ by more than a tenth, and the sums of all."""
    rows = []
    for kind, tables in (("trainings", [run.facts for run in runs]), ("chapters", [run.chapters for run in runs])):
        one, other = tables
        took = {name: [float(table[name]["seconds"]) for table in tables] for name in one if name in other}
        sums = {f"all {len(took)} {kind} of both": [sum(pair) for pair in zip(*took.values(), strict=True)]}
        differ = {name: pair for name, pair in took.items() if abs(pair[1] - pair[0]) > max(1, 0.1 * pair[0])}
        for name, (first, second) in {**differ, **sums}.items() if differ else ():
            rows.append((name, f"{first:.0f}", f"{second:.0f}", f"{second / max(first, 0.1):.2f}"))
    return pd.DataFrame(rows, columns=["of", *names, "ratio"])


def _results(runs: Sequence[_Run], names: tuple[str, str]) -> tuple[pd.DataFrame, list[str]]:
    """A row a category, split, method and view whose means differ; and what else is to be said of the results."""
    rows, notes = [], []
    one, other = (run.results for run in runs)
    for file in (file for file in one if file in other):
        pair = (one[file], other[file])
        for column in (column for column in PROVENANCE if column != "run"):
            said = [", ".join(map(str, table[column].unique())) for table in pair]
            if said[0] != said[1]:
                notes.append(f"Results {file} differ in their {column}: {said[0]}; {said[1]}.")
        rows += [row._replace(split=file.removeprefix(f"{row.category}_")) for row in _beside(*pair)]
    lacking = [name for name, found in zip(names, (one, other), strict=True) if not found]
    notes += [f"There are no results in {name}." for name in lacking]
    differ = [row for row in rows if row.first != row.second]
    if rows:
        notes.append(f"Of {len(rows)} means of the results {len(rows) - len(differ)} are the same.")
    elif not lacking:
        notes.append("No results are of the same category and split.")
    return pd.DataFrame(differ, columns=["category", "split", "method", "view", "shapes", *names, *VERDICT]), notes


class _Means(NamedTuple):
    """A method's Chamfer distance x 1000 in both runs, as text."""

    category: str
    split: str
    method: str
    view: str
    shapes: str
    first: str
    second: str
    difference: str
    interval: str
    verdict: str


VERDICT = ["difference", "95 %", "verdict"]


def _beside(first: pd.DataFrame, second: pd.DataFrame) -> list[_Means]:
    """The means of both, a failure counted as the worst of both, and their paired difference where shapes agree."""
    both = pd.concat([rows.assign(method=f"{place} " + rows["method"]) for place, rows in enumerate((first, second))])
    means = {tuple(row[key] for key in KEYS): row for row in summarize(both).to_dict("records")}
    rows = []
    for (category, split, method, view), one in means.items():
        other = means.get((category, split, f"1{method[1:]}", view))
        if method.startswith("1") or other is None:
            continue
        of_group = both.loc[(both["category"] == category) & (both["split"] == split)]
        told = _paired(of_group, other["method"], method, view)
        shapes = " and ".join(dict.fromkeys(str(row["shapes"]) for row in (one, other)))
        values = [1000 * row["mean"] for row in (one, other)]
        numbers = (f"{values[0]:.3f}", f"{values[1]:.3f}", f"{values[1] - values[0]:+.3f}")
        rows.append(_Means(category, split, method[2:], "" if view == NO_VIEW else view, shapes, *numbers, *told))
    return rows


def _paired(rows: pd.DataFrame, second: str, first: str, view: str) -> tuple[str, str]:
    """The interval of the second's distances minus the first's, and which is better; nothing where shapes differ."""
    try:
        found = paired_difference(rows, second, first).set_index("view").to_dict("index")[view]
    except ResultsError:
        return "", "other shapes"
    low, high = 1000 * found["low"], 1000 * found["high"]
    return f"{low:+.3f} to {high:+.3f}", "better" if high < 0 else "worse" if low > 0 else "open"


# --- the figure


def _drawable(comparison: Comparison) -> bool:
    return bool(len(comparison.results) or _common_curves(comparison))


def _figure(comparison: Comparison, kind: str) -> bytes:
    """Mean distances of both runs by method, a category and split a panel; where none differ, learning curves."""
    from matplotlib import pyplot as plt

    from tpl.look import use_style

    use_style()
    named = comparison.results["category"] + ", " + comparison.results["split"]
    results = {title: comparison.results.loc[named == title] for title in dict.fromkeys(named)}
    panels: Mapping[str, Any] = results or _common_curves(comparison)
    columns = min(3, len(panels))
    count = -(-len(panels) // columns)
    high = 1.2 + 0.25 * max(map(len, results.values())) if results else 3.2  # inches a panel
    fig, axes = plt.subplots(count, columns, figsize=(3.4 * columns + 1, high * count + 0.3), squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, (title, content) in zip(axes.flat, panels.items(), strict=False):
        ax.set_axis_on()
        plot: Any = _plot_means if results else _plot_curves
        plot(ax, content, comparison.names)
        ax.set_title(title, loc="left")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper right", ncols=2)
    file = io.BytesIO()
    fig.savefig(file, format=kind)
    plt.close(fig)
    return file.getvalue()


def _plot_means(ax: "Axes", results: pd.DataFrame, names: tuple[str, str]) -> None:
    """A line a method and view from the first run's mean to the second's."""
    from tpl.look import INK
    from tpl.study.methods import method_color

    rows = results.to_dict("records")
    labels = [f"{row['method']}, {row['view']}".removesuffix(", ") for row in rows]
    for place, row in enumerate(rows):
        ends, color = [float(row[name]) for name in names], method_color(row["method"])
        ax.plot(ends, [place, place], color=color, linewidth=1.6)
        ax.plot(ends[0], place, "o", color=color, markerfacecolor="white", markersize=6, markeredgewidth=1.4)
        ax.plot(ends[1], place, "o", color=color, markersize=6)
    for name, face in zip(names, ("white", INK), strict=True):
        ax.plot([], [], "o", color=INK, markerfacecolor=face, markersize=6, label=name)
    ax.set_yticks(range(len(labels)), labels)
    farthest = max(float(row[name]) for row in rows for name in names)
    ax.set(xlabel="Chamfer distance x 1000", ylim=(len(labels) - 0.5, -0.5), xlim=(0, 1.08 * farthest))
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")


def _common_curves(comparison: Comparison) -> dict[str, list[pd.DataFrame]]:
    """The learning curves of the first trainings that both runs have finished."""
    one, other = (Path(name) for name in comparison.names)
    files = {place: [folder / place / "history.csv" for folder in (one, other)] for place in _trainings(one)}
    common = [place for place, pair in files.items() if all(file.exists() for file in pair)]
    return {place: [_curve(file) for file in files[place]] for place in common[:CURVES]}


def _curve(file: Path) -> pd.DataFrame:
    with border(file, _anew(file), BookError, " as a learning curve"):
        return pd.read_csv(file)


def _plot_curves(ax: "Axes", curves: Sequence[pd.DataFrame], names: tuple[str, str]) -> None:
    """The first term of the loss in both runs: its running median."""
    from tpl.look.plotting import INK, NOT_TERMS  # what `tpl.look` does not hand on

    term = next(str(column) for column in curves[0] if column not in NOT_TERMS)
    for curve, name, style, color in zip(curves, names, ("--", "-"), ("#8c8c8c", INK), strict=True):
        if term in curve:
            values = curve[term].rolling(max(1, len(curve) // 50), min_periods=1, center=True).median()
            ax.plot(curve["step"], values, style, color=color, label=name)
    ax.set(xlabel="step", ylabel=term, yscale="log")
    ax.grid(axis="y")
