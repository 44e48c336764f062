"""What a mesh file says of itself against the bytes that are there, before a reader believes it.

Readers take a file's word: they reserve the memory that a header asks for, pass over a missing end in silence, and
count a face's corners from wherever they happen to stand. Here a lie is refused, and what has one meaning is put right.
"""

import io
import re
from io import BufferedIOBase

LARGEST = 2**29  # bytes of a mesh file, unpacked: reading one of 50 MB takes eight times as much memory
MOST_FACES = 3_000_000  # of a mesh: cleaning a million takes 0.7 GB, and six minutes where rays must be shot
MOST_LINES = 5 * MOST_FACES  # of a text: each takes 40 bytes and more as an object, blank or not

SIGNATURES = {
    b"glTF": "GLB",
    b"ply": "PLY",
    b"OFF": "OFF",
    b"COFF": "OFF",
    b"AC3D": "AC3D",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"%PDF": "a PDF",
    b"BLENDER": "Blender's own",
    b"Kaydara FBX": "FBX",
}


class ClaimError(ValueError):
    """A file that does not hold what it claims; the message is the reason and the remedy, without the file's name."""


def checked(file: BufferedIOBase, kind: str) -> BufferedIOBase:
    """The file, or another in its place that readers understand: text in UTF-8, OBJ's faces counted from the start.

    Args:
        file: At its beginning; it may be at its end afterwards, where another one is returned.
        kind: What its name says it is, in lower case: "obj".

    Raises:
        ClaimError: It is too large, of another format, cut off, or claims more than it holds.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(4096)
    file.seek(0)
    if size > LARGEST:
        raise ClaimError(f"has {size / 1e6:,.0f} MB, and {LARGEST / 1e6:,.0f} MB is the most; simplify the mesh")
    if not head.strip(b"\0 \t\r\n"):
        raise ClaimError("is empty and has no faces; export it again")
    found = next((name for start, name in SIGNATURES.items() if head.startswith(start)), "")
    if found and found != kind.upper() and not (kind == "ac" and found == "AC3D"):
        raise ClaimError(f"its bytes are not {kind.upper()}, but {found}; give it the ending of what it is")
    check = {"glb": _glb, "ply": _ply, "stl": _stl, "off": _off, "obj": _obj, "dae": _dae}.get(kind)
    return check(file, size) if check else file


def as_utf8(data: bytes) -> bytes:
    """Text in UTF-8, whatever it was: UTF-16 by its mark, else Latin-1, which has a letter for every byte.

    Numbers and keywords are the same in all of them; a guess at the language would only put names at risk.
    """
    try:
        return data.decode("utf-8-sig").encode()
    except UnicodeDecodeError:
        wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        return data.decode("utf-16" if wide else "latin-1", "replace").encode()


def few_lines(text: bytes) -> bytes:
    """Gives a text back whose lines are so few that each can be an object; raises `ClaimError` if they are not."""
    if (count := text.count(b"\n") + text.count(b"\r")) > MOST_LINES:
        raise ClaimError(f"has {count:,} lines, and {MOST_LINES:,} is the most; simplify the mesh")
    return text


def _text(file: BufferedIOBase) -> bytes:
    return as_utf8(few_lines(file.read()))


def _glb(file: BufferedIOBase, size: int) -> BufferedIOBase:
    head = file.read(20)
    total, chunk = int.from_bytes(head[8:12], "little"), int.from_bytes(head[12:16], "little")
    if head.startswith(b"glTF") and (total > size or 20 + chunk > size):
        raise ClaimError(f"is cut off: it claims {max(total, 20 + chunk):,} bytes and has {size:,}; export it again")
    file.seek(0)
    return file


def _ply(file: BufferedIOBase, size: int) -> BufferedIOBase:
    header = []
    while file.tell() < 2**16 and (line := file.readline(1024)):
        header.append(line.split())
        if header[-1][:1] == [b"end_header"]:
            break
    else:
        raise ClaimError("its header has no end; export it again")
    is_text = any(words[:2] == [b"format", b"ascii"] for words in header)
    elements = [words for words in header if words[:1] == [b"element"]]
    if not all(len(words) == 3 and words[2].isdigit() for words in elements):
        raise ClaimError("its header does not count its elements; export it again")
    claimed, left = sum(int(words[2]) for words in elements), size - file.tell()
    if is_text and claimed <= left:
        body = _text(file)
        left = sum(1 for line in body.splitlines() if line.strip())
    if claimed > left:  # of text a line each; otherwise a byte is the least, and the reader counts them all
        unit = "lines" if is_text else "bytes"
        raise ClaimError(f"claims {claimed:,} vertices and faces in the {left:,} {unit} it has; export it again")
    file.seek(0)
    return file


def _stl(file: BufferedIOBase, size: int) -> BufferedIOBase:
    head = file.read(84)
    claimed = int.from_bytes(head[80:84], "little")
    if len(head) == 84 and size == 84 + 50 * claimed:
        file.seek(0)
        return file
    if not head.lstrip()[:5].lower() == b"solid":
        raise ClaimError(
            f"claims {claimed:,} triangles and has the bytes of {max(0, size - 84) // 50:,}; export it again"
        )
    text = head + few_lines(file.read())
    if text.lower().count(b"endsolid") < 1 or text.lower().count(b"endloop") != text.lower().count(b"outer"):
        raise ClaimError("is cut off before its end; export it again")
    return io.BytesIO(as_utf8(text))


def _off(file: BufferedIOBase, size: int) -> BufferedIOBase:
    text, begin = _text(file), 0
    while blank := re.compile(rb"\s+|#.*\n?").match(text, begin):
        begin = blank.end()
    start = re.compile(rb"\w*?OFF(?=[\s\d#]|$)").match(text, begin)  # ModelNet40 glues the counts on: OFF48 72 0
    if not start:
        raise ClaimError("does not begin with OFF; export it again")
    rows = [words for line in text[start.end() :].splitlines() if (words := line.partition(b"#")[0].split())]
    counts = rows[0][:2] if rows else []
    if len(counts) < 2 or not all(count.isdigit() for count in counts):
        raise ClaimError("does not count its vertices and faces; export it again")
    vertices, faces = map(int, counts)
    if vertices + faces > len(rows) - 1:
        has = f"{len(rows) - 1:,} lines"
        raise ClaimError(f"claims {vertices + faces:,} vertices and faces in the {has} it has; export it again")
    for row in rows[1 + vertices : 1 + vertices + faces]:
        if any(word[:1] == b"-" for word in row):  # numpy would count from the end
            told = b" ".join(row[:6]).decode("latin-1")
            raise ClaimError(f"has a face with a negative number ({told}), which names no vertex; export it again")
    return io.BytesIO(start[0] + b"\n" + text[start.end() :])


def _obj(file: BufferedIOBase, size: int) -> BufferedIOBase:
    text = _text(file)
    if re.search(rb"^f[ \t](?:.*[ \t])?0+(?:[/ \t\r]|$)", text, re.MULTILINE):
        raise ClaimError("a face names vertex 0, and OBJ counts from 1; export it again")
    if damaged := re.search(rb"^f[ \t].*-(?!\d).*", text, re.MULTILINE):
        told = damaged[0][:40].decode("latin-1").strip()
        raise ClaimError(f"has a face with a number that is none ({told}), so it is damaged; export it again")
    if re.search(rb"^f[ \t].*-\d", text, re.MULTILINE):
        text = _counted_from_the_start(text)
    return io.BytesIO(text)


def _dae(file: BufferedIOBase, size: int) -> BufferedIOBase:
    text = _text(file)
    if not text.lstrip().startswith(b"<"):  # the reader would unpack an archive
        raise ClaimError("is no XML; export it again")
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:  # entities grow without an end, or fetch what they name
        raise ClaimError("defines entities, as no program does; export it again")
    return io.BytesIO(text)


def _counted_from_the_start(text: bytes) -> bytes:
    """An OBJ whose faces may say -1 for the vertex just above them, with the number that this vertex has."""
    seen = {b"v": 0, b"vt": 0, b"vn": 0}

    def absolute(corner: bytes) -> bytes:
        numbers = zip(corner.split(b"/"), seen.values(), strict=False)
        return b"/".join(b"%d" % above(so_far, int(n)) if n.startswith(b"-") else n for n, so_far in numbers)

    def above(so_far: int, back: int) -> int:
        if so_far + 1 + back < 1:
            raise ClaimError(f"has a face that counts {-back} back where there are {so_far}; export it again")
        return so_far + 1 + back

    lines = text.replace(b"\\\n", b" ").splitlines()
    for row, line in enumerate(lines):
        word, _, rest = line.lstrip().partition(b" ")
        if word in seen:
            seen[word] += 1
        elif word == b"f" and b"-" in rest:
            try:
                lines[row] = b"f " + b" ".join(map(absolute, rest.split()))
            except ClaimError:
                raise
            except ValueError:  # no number: the reader's to refuse
                continue
    return b"\n".join(lines) + b"\n"
