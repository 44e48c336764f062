"""The first page's sentences follow from the scores."""

from test_comparison import table

from tpl.chapters.intro import score_sentence


def test_the_score_names_the_best_rival_and_says_who_wins():
    rows = table(**{"our encoder": [1.0, 2.0], "nearest by pixels": [3.0, 4.0], "nearest by code": [2.0, 3.0]})
    assert score_sentence(rows, "our encoder") == (
        "1.50; the best training shape that a picture leads to (*nearest by code*) 2.50"
    )
    lost = rows.assign(chamfer=rows["chamfer"].where(rows["method"] == "our encoder", rows["chamfer"] / 4))
    assert score_sentence(lost, "our encoder").endswith("(*nearest by code*) 0.62, which wins")


def test_a_refined_answer_is_spoken_of_first():
    rows = table(**{"our encoder": [1.0, 2.0], "our encoder, refined": [0.5, 1.0], "nearest by code": [1.0, 1.0]})
    assert score_sentence(rows, "our encoder") == (
        "0.75 (1.50 before the fit to the outline); the best training shape that a picture leads to "
        "(*nearest by code*) 1.00"
    )


def test_the_score_of_what_was_not_judged_is_not_made_up():
    alone = table(**{"our encoder": [1.0, 2.0]})
    assert score_sentence(alone, "our encoder") == "1.50, and no rival was judged"
    assert score_sentence(alone, "encoder") == "not judged"
