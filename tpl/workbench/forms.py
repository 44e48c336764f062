"""The form at the head of a chapter in JupyterLab: its parameters, made from its own cell and configurations."""

import html
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from tpl.book.book import BookError, Chapter, Value
from tpl.book.bounds import GROUPS, Parameter
from tpl.book.commands import the_book
from tpl.workbench import copies
from tpl.workbench.attending import attend_to_trainings
from tpl.workbench.choices import Choices

STYLE = """<style>
.tpl-form .tpl-turned .widget-label { font-weight: 700; color: var(--jp-brand-color1, #0b57d0); }
.tpl-form .tpl-refused input { border: 2px solid var(--jp-error-color1, #b3261e); }
.tpl-form .tpl-help { line-height: 1.35; color: var(--jp-ui-font-color1); }
.tpl-form .tpl-help small { color: var(--jp-ui-font-color2); }
.tpl-form .tpl-why { color: var(--jp-error-color1, #b3261e); font-weight: 600; }
.tpl-form code { user-select: all; }
</style>"""


def open_form(name: str) -> "Form":
    """As `tpl.workbench.form` says."""
    book = the_book()
    chapter = book.find(name)
    choices = Choices(book, name, copies.folder(book) / ".forms" / f"{chapter.name}.json")
    attend_to_trainings(choices)
    return Form(choices)


class Form:
    """A form and what it says.

    Args:
        choices: What it shows and changes.
    """

    def __init__(self, choices: Choices):
        self.choices = choices
        self.rows = {name: Row(parameter, self._turn, self._reset) for name, parameter in choices.parameters.items()}
        self.summary, self.told = widgets.HTML(), widgets.HTML()
        self.profile = widgets.Dropdown(options=choices.profiles, value=choices.profile, description="start from")
        self.profile.observe(lambda change: self._begin(change["new"]), "value")
        reset = _button("Reset all", "As the profile has it", self._reset)
        back = _button("Put the chapter back", "The copy becomes what the book says; yours is kept", self._put_back)
        head = widgets.HBox([self.profile, reset, back], layout=widgets.Layout(flex_flow="row wrap"))
        self.widget = widgets.VBox(
            [widgets.HTML(STYLE), self._outdated(), head, self.told, self._groups(), self.summary]
        )
        self.widget.add_class("tpl-form")
        self.show()

    @property
    def values(self) -> dict[str, Value]:
        """What the chapter runs with; raises as `Choices.values`."""
        return self.choices.values

    def show(self) -> None:
        """Brings what is seen up to what was chosen."""
        now, start = self.choices.now, self.choices.start
        for name, row in self.rows.items():
            row.show(now[name], start[name], self.choices.refused.get(name))
        turned = self.choices.turned
        told = ", ".join(f"{name} {start[name]!r} → {value!r}" for name, value in turned.items())
        differs = f"{len(turned)} turned: {told}" if turned else f"all as profile {self.choices.profile} has it"
        self.summary.value = (
            f"<p>{html.escape(differs)}. Now <em>Run &gt; Run All Cells</em>; the same from a terminal: "
            f"<code>{html.escape(self.choices.command)}</code></p>"
        )

    def _groups(self) -> widgets.Accordion:
        groups = {group: [row.widget for row in self.rows.values() if row.parameter.group == group] for group in GROUPS}
        groups = {group: rows for group, rows in groups.items() if rows}
        shown = widgets.Accordion([widgets.VBox(rows) for rows in groups.values()])
        for number, (group, rows) in enumerate(groups.items()):
            shown.set_title(number, f"{group} ({len(rows)})")
        shown.selected_index = list(groups).index("training") if "training" in groups else (0 if groups else None)
        return shown

    def _turn(self, name: str, value: Any) -> None:
        self.choices.turn(name, value)
        self.show()

    def _reset(self, name: str = "") -> None:
        self.choices.reset(name)
        self.show()

    def _begin(self, profile: str) -> None:
        try:
            self.choices.begin(profile)
        except BookError as error:
            self.told.value = f'<p class="tpl-why">{html.escape(str(error))}</p>'
        self.show()

    def _outdated(self) -> widgets.HTML:
        book, chapter = self.choices.book, self.choices.chapter
        if not _copied_before(self.choices, chapter) or not copies.is_outdated(book, chapter):
            return widgets.HTML()
        return widgets.HTML(
            '<p class="tpl-why">The chapter has changed since this copy was made and changed: "Put the chapter back" '
            "brings the new one, and keeps yours.</p>"
        )

    def _put_back(self) -> None:
        kept = copies.put_back(self.choices.book, self.choices.chapter.name)
        said = f"; yours is kept as <code>{kept.parent.name}/{html.escape(kept.name)}</code>" if kept else ""
        self.told.value = f"<p>The copy is new{said}. <em>File &gt; Reload Notebook from Disk</em> shows it.</p>"


class Row:
    """A parameter's line: its name, something to turn, its way back, and what it is for."""

    def __init__(self, parameter: Parameter, turn: Callable[[str, Any], None], reset: Callable[[str], None]):
        self.parameter, self._turn, self._silent = parameter, turn, False
        self.control: Any = _control(parameter)
        self.typed = isinstance(self.control, (widgets.Text, widgets.Combobox))
        self.control.observe(self._changed, "value")
        self.back = _button("↺", f"{parameter.name} as it was", lambda: reset(parameter.name))
        self.back.layout = widgets.Layout(width="36px")
        self.help = widgets.HTML(layout=widgets.Layout(flex="1 1 260px", min_width="200px"))
        layout = widgets.Layout(flex_flow="row wrap", align_items="center")
        self.widget = widgets.HBox([self.control, self.back, self.help], layout=layout)

    def show(self, value: Value, start: Value, refused: tuple[str, str] | None) -> None:
        """Shows a value, whether it is turned, and why what was typed cannot be."""
        self._silent = True
        if refused is None:
            self.control.value = str(value) if self.typed else value
        self._silent = False
        turned = value != start or refused is not None
        self.back.layout.visibility = "visible" if turned else "hidden"
        _mark(self.widget, "tpl-turned", turned)
        _mark(self.widget, "tpl-refused", refused is not None)
        words = [html.escape(self.parameter.help)]
        if self.parameter.allowed and not self.parameter.choices:
            words.append(f"<small>{html.escape(self.parameter.allowed)}</small>")
        if turned:
            words.append(f"<small>was {html.escape(str(start) or 'empty')}</small>")
        if refused:
            words.append(f'<span class="tpl-why">{html.escape(refused[1])}</span>')
        self.help.value = f'<div class="tpl-help">{" · ".join(word for word in words if word)}</div>'

    def _changed(self, change: dict) -> None:
        if not self._silent:
            self._turn(self.parameter.name, change["new"])


def _control(parameter: Parameter) -> Any:
    layout, style = widgets.Layout(width="360px"), {"description_width": "200px"}
    told = {"description": parameter.name, "layout": layout, "style": style, "tooltip": parameter.help}
    if parameter.kind == "bool":
        return widgets.Checkbox(value=bool(parameter.default), **told)
    if parameter.kind == "choice" and parameter.choices and not parameter.pattern:
        names = [(str(choice) or "(none)", choice) for choice in parameter.choices]
        return widgets.Dropdown(options=names, value=parameter.default, **told)
    if parameter.choices:
        names = [str(choice) for choice in parameter.choices if choice]
        return widgets.Combobox(options=names, value=str(parameter.default), continuous_update=False, **told)
    return widgets.Text(value=str(parameter.default), continuous_update=False, **told)


def _button(words: str, tooltip: str, act: Callable[[], Any]) -> widgets.Button:
    button = widgets.Button(description=words, tooltip=tooltip, layout=widgets.Layout(width="auto"))
    button.on_click(lambda _: act())
    return button


def _mark(widget: Any, name: str, wanted: bool) -> None:
    widget.add_class(name) if wanted else widget.remove_class(name)


def _copied_before(choices: Choices, chapter: Chapter) -> bool:
    return (copies.folder(choices.book) / f"{chapter.name}.ipynb").exists()
