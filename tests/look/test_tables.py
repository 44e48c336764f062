"""Tables: what the pages get is one MyST directive, numbers to the right, and nothing breaks its columns."""

import pandas as pd

from tpl.look.tables import SortableTable, Table, of_each

FRAME = pd.DataFrame({"method": ["a|b", "c"], "mean": ["1.50", "-2e-3"], "share": ["3 %", ""], "shapes": [1, 20]})


def test_the_markdown_is_a_named_directive_with_its_caption_and_one_line_a_row():
    lines = Table(FRAME, "A caption.", "tab-name").markdown().splitlines()
    assert lines[:3] == [":::{table} A caption.", ":name: tab-name", ""]
    assert lines[3:] == [
        "| method | mean | share | shapes |",
        "|:--|--:|--:|--:|",
        "| a\\|b | 1.50 | 3 % | 1 |",
        "| c | -2e-3 |  | 20 |",
        ":::",
    ]


def test_an_empty_table_keeps_its_head():
    assert "| method | mean |" in Table(FRAME[["method", "mean"]][:0], "None.", "tab-none").markdown()


def test_pages_jupyterlab_and_terminals_each_get_their_own():
    bundle = Table(FRAME, "A caption.", "tab-name")._repr_mimebundle_()
    assert set(bundle) == {"text/markdown", "text/html", "text/plain"}
    assert "<table" in bundle["text/html"]


def test_a_sortable_table_is_the_same_one_with_a_class_that_the_script_finds_and_plain_in_jupyterlab():
    plain, sortable = Table(FRAME, "A caption.", "t"), SortableTable(FRAME, "A caption.", "t", largest_first="share")
    lines = sortable.markdown().splitlines()
    assert lines.pop(2) == ":class: tpl-sortable tpl-sorted-2"
    assert lines == plain.markdown().splitlines()
    html = sortable._repr_mimebundle_()["text/html"]
    assert html == plain._repr_mimebundle_()["text/html"] and "<script" not in html


def test_a_sortable_table_in_no_order_claims_none():
    assert ":class: tpl-sortable\n" in SortableTable(FRAME, "A caption.", "t").markdown()


def test_what_is_said_of_each_stands_before_its_name():
    assert (
        of_each(["chairs", "sofas"], {"chairs": "0.86", "sofas": "0.36"}.__getitem__) == "0.86 (chairs), 0.36 (sofas)"
    )
    assert of_each([], str) == ""
