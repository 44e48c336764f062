"""The book as a thing: its chapters, their execution, publishing, the site."""

from tpl.book.book import at_root
from tpl.book.hyperparameters import chapter_config, collection_config

__all__ = ["begin", "chapter_config", "collection_config"]


def begin() -> None:
    """What each chapter begins with: paths from the root of the repository, and the one look."""
    from tpl.look import use_style

    at_root()
    use_style()
