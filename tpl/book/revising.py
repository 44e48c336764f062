"""An executed chapter with the words that its source has by now: words are not what a run is needed for."""

from copy import deepcopy
from typing import Any

from tpl.book.book import Chapter

INJECTED = "injected-parameters"  # papermill's own cell, with the parameters that were given


def with_its_words(chapter: Chapter, executed: Any, entry: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """An executed chapter and its entry in the manifest, both of the source's words where only these have changed.

    Args:
        chapter: With its words of now.
        executed: Its notebook as it was executed.
        entry: What the manifest says of the execution.
    """
    import jupytext

    if not entry or entry.get("source") == chapter.digest:
        return executed, entry
    made = revised(executed, jupytext.read(chapter.source))
    return (executed, entry) if made is None else (made, entry | {"source": chapter.digest, "revised": True})


def revised(executed: Any, source: Any) -> Any | None:
    """The executed notebook with text, captions and tags of its source; its code and outputs stay what they are.

    Args:
        executed: A notebook as papermill left it.
        source: The chapter's notebook without outputs.

    Returns:
        A notebook; nothing where any code differs, since its outputs would be of other code than the page shows.
    """
    ran = [cell for cell in executed.cells if cell.cell_type == "code" and not _is_injected(cell)]
    written = [cell for cell in source.cells if cell.cell_type == "code"]
    if [_code(cell) for cell in ran] != [_code(cell) for cell in written]:
        return None
    results, injected = iter(ran), [cell for cell in executed.cells if _is_injected(cell)]
    cells = []
    for cell in source.cells:
        if cell.cell_type != "code":
            cells.append(deepcopy(cell))
            continue
        result = deepcopy(next(results))
        result.metadata = result.metadata | deepcopy(cell.metadata)
        cells.append(result)
        if "parameters" in cell.metadata.get("tags", []):
            cells += deepcopy(injected)
    made = deepcopy(executed)
    made.cells = cells
    return made


def _is_injected(cell: Any) -> bool:
    return INJECTED in cell.metadata.get("tags", [])


def _code(cell: Any) -> str:
    return cell.source.strip()
