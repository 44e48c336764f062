"""Notes what a chapter reads and writes below `data/` and `runs/`; Python imports it where PYTHONPATH names its folder.

TPL_OPENED names the folder of the notes: `<chapter>.<process>.txt`, a line a file, "r" or "w" and its path. Shelves are
left out, since what lies there has the hash of all that it depends on in its name.
"""

import os
import sys
from pathlib import Path

NOTES, SCENES = os.environ.get("TPL_OPENED"), os.environ.get("TPL_SCENES")
ROOT, SEEN = Path.cwd(), set()


def note(event, arguments):
    if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
        writes = bool((arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR))
        keep("w" if writes else "r", arguments[0])
    elif event == "os.rename":
        keep("w", arguments[1])


def keep(kind, path):
    place = Path(os.path.abspath(os.fsdecode(path)))
    if not place.is_relative_to(ROOT):
        return
    parts = place.relative_to(ROOT).parts
    if len(parts) < 3 or parts[0] not in ("data", "runs") or {"shelf", "book", "_scenes"} & set(parts):
        return
    line = f"{kind} {'/'.join(parts)}\n"
    if line not in SEEN and not any(part.startswith(".") for part in parts):  # a file that is being written, or a lock
        SEEN.add(line)
        with open(Path(NOTES) / f"{Path(SCENES).stem}.{os.getpid()}.txt", "a", encoding="utf-8") as notes:
            notes.write(line)


if NOTES and SCENES:
    Path(NOTES).mkdir(parents=True, exist_ok=True)
    sys.addaudithook(note)
