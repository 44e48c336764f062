"""Words of an executed chapter follow its source; code and outputs are what ran."""

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tpl.book.revising import revised


def chapter(*cells):
    return new_notebook(cells=list(cells))


def code(source, *outputs, tags=()):
    return new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)})


def test_words_and_captions_are_the_sources_and_outputs_the_runs():
    four = new_output("stream", text="4")
    ran = chapter(
        new_markdown_cell("old"),
        code("n = 2", tags=["parameters"]),
        code("n = 4", tags=["injected-parameters"]),
        code("print(n)", four, tags=["hide-input"]),
    )
    source = chapter(
        new_markdown_cell("new"),
        code("n = 2", tags=["parameters"]),
        new_markdown_cell("another paragraph"),
        code("print(n)", tags=["remove-input"]),
    )
    made = revised(ran, source)
    assert [cell.source for cell in made.cells] == ["new", "n = 2", "n = 4", "another paragraph", "print(n)"]
    assert made.cells[-1].outputs == [four] and made.cells[-1].metadata["tags"] == ["remove-input"]
    assert ran.cells[0].source == "old" and source.cells[-1].outputs == []  # neither is changed


def test_other_code_is_not_given_the_outputs_of_what_ran():
    ran = chapter(code("print(4)", new_output("stream", text="4")))
    assert revised(ran, chapter(code("print(5)"))) is None
    assert revised(ran, chapter(code("print(4)"), code("print(5)"))) is None
    assert revised(ran, chapter()) is None
