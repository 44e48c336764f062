"""References in JupyterLab, where no Sphinx resolves them: links that can be followed, numbers that can be found."""

import pytest

from tpl.workbench.references import Place, References, number, read_sources

PAGE = """\
# Phase 1

As {numref}`fig-steps` and {eq}`eq-far` show, and {numref}`tab-cost` of elsewhere.

$$
a = b
$$ (eq-near)

```{code-cell} ipython3
---
mystnb:
  figure:
    caption: First.
    name: fig-warp
---
```

```{code-cell} ipython3
---
mystnb:
  figure: {name: fig-steps, caption: Second}
---
look.Table(frame, "A caption.", "tab-mine")
```
"""


@pytest.mark.parametrize(
    "stem, numbers",
    [
        ("03_embedding", {"eq-near": "Eq. 3.1", "fig-warp": "Figure 3.1", "fig-steps": "Figure 3.2"}),
        ("A_paper", {"eq-near": "Eq. A.1", "fig-warp": "Figure A.1", "fig-steps": "Figure A.2"}),
        ("intro", {"eq-near": "Eq. 1", "fig-warp": "Figure 1", "fig-steps": "Figure 2"}),
    ],
)
def test_what_a_page_makes_is_numbered_in_its_order_and_what_it_speaks_of_is_not(stem, numbers):
    found = number(PAGE.replace("{name: fig-steps,", "{name: 'fig-steps',"), stem)
    assert found.pop("tab-mine").startswith("Table") and found == numbers


@pytest.fixture
def references() -> References:
    here, there = "03_embedding.ipynb", "02_template.ipynb"
    return References(
        pages={
            "embedding": Place("Phase 1", here),
            "api": Place("The library", ""),
            "02_template": Place("A warp", there),
        },
        numbered={
            "fig-steps": Place("Figure 3.2", here),
            "eq-far": Place("Eq. 2.1", there),
            "eq-near": Place("Eq. 3.1", here),
        },
        sources={"ho2021": "Ho et al. 2021", "park2019": "Park et al. 2019"},
    )


@pytest.mark.parametrize(
    "text, resolved",
    [
        ("see {ref}`embedding`.", "see Phase 1."),
        ("{doc}`02_template` begins", "[A warp](02_template.ipynb) begins"),
        ("{ref}`Chapter 2 <02_template>` has it", "[Chapter 2](02_template.ipynb) has it"),
        ("{ref}`api`", "The library"),
        ("{numref}`fig-steps` by {eq}`eq-far`", "Figure 3.2 by [Eq. 2.1](02_template.ipynb)"),
        ("shown before {cite}`ho2021,park2019`", "shown before (Ho et al. 2021; Park et al. 2019)"),
        ("{py:func}`~tpl.photos.reconstruct`, {py:mod}`tpl.photos`", "`reconstruct`, `tpl.photos`"),
        ("$$\na = b\n$$ (eq-near)", "$$\na = b \\tag{3.1}\n$$"),
        ("$$ a = b $$ (eq-near)", "$$ a = b  \\tag{3.1}$$"),
        ("{ref}`nowhere`, {cite}`nobody1999`, $$a$$ (aside)", "{ref}`nowhere`, {cite}`nobody1999`, $$a$$ (aside)"),
    ],
)
def test_a_role_becomes_words_that_need_no_sphinx(references, text, resolved):
    assert references.resolved(text, "03_embedding.ipynb") == resolved


def test_a_cell_begins_with_what_it_makes(references):
    figure = {"mystnb": {"figure": {"name": "fig-steps", "caption": "From the template\nto the shape."}}}
    assert references.announced("draw()", figure) == "# Figure 3.2: From the template to the shape.\ndraw()"
    assert references.announced("draw()", {}) == "draw()"


def test_sources_are_named_by_authors_and_year(tmp_path):
    entry = "@misc{%s,\n  author = {%s},\n  title = {A {2D} title},\n  year = {%d}\n}\n"
    names = {
        "one": "Jordan, Keller",
        "two": "Lorensen, William E. and Cline, Harvey E.",
        "more": r"Anti{\'c}, Dimitrije and Paschalidou, Despoina and Tzionas, Dimitrios",
    }
    file = tmp_path / "references.bib"
    file.write_text("\n".join(entry % (key, of, 2020) for key, of in names.items()))
    assert read_sources(file) == {"one": "Jordan 2020", "two": "Lorensen and Cline 2020", "more": "Antić et al. 2020"}
