"""An error that a reader can mend is one sentence where chapters run, and an ordinary exception elsewhere."""

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tpl.book.book import BookError
from tpl.chapters.latent_space.measures import LatentSpaceError
from tpl.dataset.store import StoreError
from tpl.errors import PlainError
from tpl.evaluation.results import ResultsError
from tpl.files import BusyError, OutputError
from tpl.meshes import MeshError
from tpl.models import WeightsUnavailable
from tpl.photos import FetchError, ImageError
from tpl.settings import SettingsError
from tpl.training import RunError, TrainingInterrupted

PLAIN = [
    BookError,
    BusyError,
    FetchError,
    ImageError,
    LatentSpaceError,
    MeshError,
    OutputError,
    ResultsError,
    RunError,
    SettingsError,
    StoreError,
    TrainingInterrupted,
    WeightsUnavailable,
]


@pytest.fixture
def shell():
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


@pytest.mark.parametrize("kind", PLAIN)
def test_a_cell_that_meets_it_shows_the_sentence_alone(shell, capsys, kind):
    shell.push({"kind": kind})
    result = shell.run_cell("def deep():\n    raise kind('a file is missing; make it')\ndeep()")
    shown = "".join(capsys.readouterr())
    assert isinstance(result.error_in_exec, kind)
    assert shown.strip() == f"{kind.__name__}: a file is missing; make it"


def test_any_other_error_keeps_its_traceback(shell, capsys):
    shell.run_cell("raise ValueError('whatever')")
    assert "Traceback" in "".join(capsys.readouterr())


def test_it_is_caught_as_what_it_is():
    with pytest.raises(ValueError, match="wrong"):
        raise PlainError("wrong")
