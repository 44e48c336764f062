"""The command of the workbench: lab."""

import os
import sys

from tpl.book.commands import the_book
from tpl.errors import PlainError
from tpl.workbench.copies import FOLDER, bring_up_to_date, folder


def lab(browser: bool = True, port: int = 8888, start: bool = True) -> None:
    """Open copies of the chapters in JupyterLab, to turn hyperparameters in; the book stays as it is.

    They lie in lab/, which git ignores. One is brought up to date where its chapter has changed and nobody has changed
    the copy.

    Args:
        browser: Whether a browser is opened.
        port: Of the server; the next free one, if it is taken.
        start: Whether JupyterLab is started; without it the copies alone are brought up to date.
    """
    book = the_book()
    for copy in bring_up_to_date(book):
        if copy.state != "as it was":
            print(f"{FOLDER}/{copy.file.name}: {copy.state}")
    if not start:
        return
    try:
        import jupyterlab  # noqa: F401
    except ImportError as error:
        raise PlainError("there is no JupyterLab here: install the library with `pip install -e .[book]`") from error
    os.environ["JUPYTER_CONFIG_PATH"] = str(book.root / ".jupyter")
    given = [f"--ServerApp.root_dir={folder(book)}", f"--ServerApp.port={port}"]
    given += [] if browser else ["--no-browser"]
    given += ["--allow-root"] if os.geteuid() == 0 else []  # as in a container; it listens to this machine
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", *given])
