"""Damaged files for every reader of the library: seeded, so that what was found can be found again.

    python tests/mutations.py 2000

Each file is whole at first, then some of its bytes are changed, lost, doubled, or its numbers made extreme. A reader
may take what it gets or refuse it by a plain error; nothing else, not for long, and not with much memory.
"""

import io
import json
import resource
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pandas as pd
import safetensors.torch
import torch
import trimesh
from PIL import Image

from tpl.dataset.collection import CollectionConfig, open_collection
from tpl.dataset.store import Store
from tpl.errors import PlainError
from tpl.evaluation.results import read_results
from tpl.evaluation.rows import COLUMNS
from tpl.meshes import load_mesh
from tpl.photos.reading import load_photo
from tpl.settings import SettingsError
from tpl.shapes import Shape, SourceOptions
from tpl.shapes.folder import folder_shapes
from tpl.training.runs import RunFolder
from tpl.training.states import read_progress

SLOWEST, MOST_MEMORY = 5.0, 2 * 2**30
EXTREMES = [
    b"0",
    b"-1",
    b"1",
    b"255",
    b"65536",
    b"2147483648",
    b"99999999999",
    b"1e308",
    b"-1e-320",
    b"nan",
    b"inf",
    b"",
]
BOX = trimesh.creation.box((1.0, 2.0, 3.0))
SHAPE = Shape("a", "chairs", "a", "train", BOX.copy, "balls", "1")


class Kind(NamedTuple):
    """A kind of file: what makes it whole, under what name, and who reads it."""

    name: str
    make: Callable[[], bytes]
    read: Callable[[Path], object]
    beside: dict[str, bytes] = {}


def exported(kind: str, **options) -> Callable[[], bytes]:
    def make() -> bytes:
        data = BOX.copy(include_cache=False).export(
            file_type=kind, **options
        )  # normals that were asked for would come along
        return data.encode() if isinstance(data, str) else data

    return make


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    ramp = np.linspace(0, 255, 40 * 40 * 3).reshape(40, 40, 3).astype(np.uint8)
    Image.fromarray(ramp).save(file, kind)
    return file.getvalue()


def textured() -> bytes:
    faces = "".join(f"f {a + 1}/1 {b + 1}/2 {c + 1}/3\n" for a, b, c in BOX.faces)
    points = "".join(f"v {x} {y} {z}\n" for x, y, z in BOX.vertices)
    return f"mtllib a.mtl\nvt 0 0\nvt 1 0\nvt 0 1\nusemtl m\n{points}{faces}".encode()


MATERIAL = b"newmtl m\nKd 1 0 0\nd 1\nmap_Kd a.png\n"
AC3D = (
    b'AC3Db\nMATERIAL "red" rgb 1 0 0  amb 0 0 0  trans 0\nOBJECT world\nkids 1\nOBJECT poly\nname "a"\nnumvert 4\n'
    b"0 0 0\n1 0 0\n0 1 0\n0 0 1\nnumsurf 2\nSURF 0X10\nmat 0\nrefs 3\n0 0 0\n1 1 0\n2 0 1\nSURF 0X10\nmat 0\n"
    b"refs 4\n0 0 0\n1 1 0\n2 0 1\n3 1 1\nkids 0\n"
)


def chunk(kind: int, body: bytes) -> bytes:
    return kind.to_bytes(2, "little") + (6 + len(body)).to_bytes(4, "little") + body


def made_3ds() -> bytes:
    points = b"\4\0" + np.eye(4, 3, dtype="<f4").tobytes()
    faces = b"\2\0" + np.array([[0, 1, 2, 0], [0, 2, 3, 0]], "<u2").tobytes()
    mesh = chunk(0x4100, chunk(0x4110, points) + chunk(0x4120, faces))
    return chunk(0x4D4D, chunk(0x3D3D, chunk(0x4000, b"wing\0" + mesh)))


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("in/a.obj", textured())
        archive.writestr("in/a.mtl", MATERIAL)
        archive.writestr("in/a.png", picture("png"))
    return file.getvalue()


def gltf() -> bytes:
    glb = exported("glb")()
    length = int.from_bytes(glb[12:16], "little")
    header = json.loads(glb[20 : 20 + length])
    header["buffers"][0]["uri"] = "a.bin"
    return json.dumps(header).encode()


def glb_binary() -> bytes:
    glb = exported("glb")()
    return glb[28 + int.from_bytes(glb[12:16], "little") :]


def arrays(**values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, **values)  # pyright: ignore
    return file.getvalue()


def mesh_kind(name: str, make: Callable[[], bytes], beside: dict[str, bytes] | None = None) -> Kind:
    return Kind(name, make, load_mesh, beside or {})


def in_store(kind: str, make: Callable[[], bytes], read: Callable[[Store], object]) -> Kind:
    suffix = Store("").path(kind, SHAPE).suffix
    ending = {"Prepared": ".json", "SurfaceSamples": ".ply"}.get(kind, ".npz") + suffix
    name = f"{kind}/balls/03001627/a{ending}"
    return Kind(name, make, lambda path: read(Store(path.parents[3])))


def in_run(name: str, make: Callable[[], bytes], read: Callable[[RunFolder], object]) -> Kind:
    whole = {"config.json": b'{"data": "x"}', "run.json": b"{}", "history.csv": b"step,loss\n1,2\n"}
    return Kind(
        f"run/{name}", make, lambda path: read(RunFolder(path.parent)), {f"run/{k}": v for k, v in whole.items()}
    )


RECORD = {"config": {"seed": 0}, "version": "1", "card": {"faces": 12}, "digest": "abc", "code": "d"}
ROWS = pd.DataFrame([{**dict.fromkeys(COLUMNS, "1"), "protocol": "p", "seed": 0, "run": "r"}])
TENSORS = {"a.weight": torch.ones(3, 2), "a.bias": torch.ones(3)}


def listed(path: Path) -> object:
    options = SourceOptions(folder=str(path.parent), folder_category="chairs")
    return [shape.load() for shape in folder_shapes("chairs", {"train": 9, "test": 9}, 0, options)]


KINDS: list[Kind] = [
    *(mesh_kind(f"a.{kind}", exported(kind)) for kind in ("obj", "off", "ply", "stl", "glb")),
    mesh_kind("text.ply", exported("ply", encoding="ascii")),
    mesh_kind("text.stl", exported("stl_ascii")),
    mesh_kind("t.obj", textured, {"a.mtl": MATERIAL, "a.png": picture("png")}),
    Kind(
        "a.mtl",
        lambda: MATERIAL,
        lambda p: load_mesh(p.with_name("t.obj")),
        {"t.obj": textured(), "a.png": picture("png")},
    ),
    Kind(
        "a.png",
        lambda: picture("png"),
        lambda p: load_mesh(p.with_name("t.obj")),
        {"t.obj": textured(), "a.mtl": MATERIAL},
    ),
    mesh_kind("a.ac", lambda: AC3D),
    mesh_kind("a.3ds", made_3ds),
    mesh_kind("a.dae", lambda: trimesh.exchange.dae.export_collada(BOX)),
    mesh_kind("a.zip", zipped),
    mesh_kind("a.gltf", gltf, {"a.bin": glb_binary()}),
    Kind("a.bin", glb_binary, lambda path: load_mesh(path.with_suffix(".gltf")), {"a.gltf": gltf()}),
    *(
        Kind(f"p.{kind}", lambda kind=kind: picture(kind), load_photo)
        for kind in ("png", "jpeg", "gif", "tiff", "webp", "bmp")
    ),
    in_store("SdfSamples", lambda: arrays(pos=np.ones((9, 4)), neg=-np.ones((9, 4))), lambda s: s.read_sdf(SHAPE)),
    in_store(
        "NormalizationParameters",
        lambda: arrays(offset=np.ones(3), scale=np.ones(1)),
        lambda s: s.read_normalization(SHAPE),
    ),
    in_store("SurfaceSamples", exported("ply"), lambda s: s.read_surface(SHAPE)),
    in_store("Prepared", lambda: json.dumps(RECORD).encode(), lambda s: s.read_record(SHAPE)),
    Kind(
        "collection.json",
        lambda: CollectionConfig().model_dump_json(indent=1).encode(),
        lambda p: open_collection(p.parent),
    ),
    in_run("config.json", lambda: b'{"data": "x", "seed": 3}', lambda r: (r.config(), r.data())),
    in_run("run.json", lambda: b'{"seconds": 3, "versions": {"torch": "2"}}', lambda r: r.facts()),
    in_run("history.csv", lambda: b"step,loss\n1,0.5\n2,0.25\n", lambda r: r.history()),
    in_run("model.safetensors", lambda: safetensors.torch.save(TENSORS), lambda r: r.shape_of("a.weight")),
    Kind("state/00000003/progress.json", lambda: b'{"step": 3, "row": {}}', lambda p: read_progress(p.parents[1])),
    Kind("results.csv", lambda: ROWS.to_csv(index=False).encode(), read_results),
    Kind("fronts.csv", lambda: b"file,front,up\na.obj,+x,+y\n", listed, {"a.obj": textured()}),
]


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """A file with one to three faults."""
    for _ in range(rng.integers(1, 4)):
        if not data:
            return data
        at, length = int(rng.integers(len(data))), int(rng.integers(1, 1 + min(64, len(data))))
        match rng.integers(6):
            case 0:  # other bytes
                data = data[:at] + rng.bytes(length) + data[at + length :]
            case 1:  # lost ones
                data = data[:at] + data[at + length :]
            case 2:  # doubled ones
                data = data[: at + length] + data[at : at + length] + data[at + length :]
            case 3:  # the end lost
                data = data[:at]
            case 4:  # one bit
                data = data[:at] + bytes([data[at] ^ 1 << int(rng.integers(8))]) + data[at + 1 :]
            case 5:  # a number made extreme
                extreme = EXTREMES[rng.integers(len(EXTREMES))]
                numbers = [place for place in range(len(data)) if data[place : place + 1].isdigit()]
                begin = numbers[rng.integers(len(numbers))] if numbers else at
                end = begin
                while end < len(data) and data[end : end + 1] in b".0123456789e":
                    end += 1
                data = data[:begin] + extreme + data[max(end, begin + 1) :]
    return data


def outcome(kind: Kind, data: bytes) -> tuple[str, str, float]:
    """What a reader did with a file: "read", "refused" or "broke", with its words, and the seconds that it computed."""
    with TemporaryDirectory() as folder:
        for name, content in {**kind.beside, kind.name: data}.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        start = time.process_time()
        try:
            kind.read(Path(folder, kind.name))
            state, words = "read", ""
        except (PlainError, SettingsError) as error:
            state, words = "refused", str(error)
        except Exception as error:
            state, words = "broke", f"{type(error).__name__}: {error}"
        return ("broke" if "\n" in words.strip() else state), words, time.process_time() - start


def cases(count: int, seed: int = 0) -> list[tuple[Kind, bytes, int]]:
    """So many damaged files, of all kinds in turn, each with the number that it is found again by."""
    found = []
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        found.append((kind, damaged(kind.make(), np.random.default_rng([seed, number])), number))
    return found


def main(count: int) -> None:
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + MOST_MEMORY, resource.RLIM_INFINITY))
    told, slowest = Counter(), 0.0
    for kind, data, number in cases(count):
        state, words, seconds = outcome(kind, data)
        told[state] += 1
        slowest = max(slowest, seconds)
        if state == "broke" or seconds > SLOWEST or "memory" in words:
            print(f"{number} {kind.name}: {state} after {seconds:.1f} s: {words[:300]}", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{count} files: {dict(told)}; the slowest {slowest:.1f} s, at most {peak:.1f} GB in all")


if __name__ == "__main__":
    main(int(sys.argv[1]))
