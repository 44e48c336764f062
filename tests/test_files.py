"""Outputs are whole, on disk, of the umask's mode, and never take the place of something of another kind."""

import errno
import json
import os
import platform
import re
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from PIL import Image

from tpl.__main__ import main
from tpl.files import RUN, BusyError, OutputError, UnwritableError, alone_in, write_file, write_folder


def fill(folder):
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "one").write_text("1")
    (folder / "two").write_text("2")


def contents(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


WHOLE = {"deep/one": "1", "two": "2"}


@pytest.fixture
def kept(tmp_path):
    """A folder with something in it that nobody may lose, and whose name passes for that of any output."""
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years")
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        ["reconstruct", "p.png", "-o", "FOLDER.glb", "--category", "chairs"],
        ["reconstruct", "p.png", "-o", "mesh.glb", "--preview", "FOLDER.png", "--category", "chairs"],
        ["data", "check", "data", "-o", "FOLDER.csv"],
    ],
)
def test_a_command_told_to_write_where_a_folder_is_refuses_and_touches_nothing(
    tmp_path, monkeypatch, kept, capsys, arguments
):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("p.png")
    given = [argument.replace("FOLDER", "kept") for argument in arguments]
    target = next(argument for argument in given if argument.startswith("kept"))
    kept.rename(target)
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr(sys, "argv", ["tpl", *given])
    with pytest.raises(SystemExit, match=f"^tpl: {target} is a folder .* give the name of a file$"):
        main()
    assert sorted(tmp_path.rglob("*")) == before
    assert contents(tmp_path / target) == {"thesis.txt": "years"}


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(28, "No space left on device"), "No space left on device.: free some space"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "No space left on device.: free some space"),
        (PermissionError(13, "Permission denied"), "Permission denied.: choose another folder"),
    ],
)
def test_a_full_disk_or_a_foreign_folder_is_one_sentence_and_what_was_there_stays(tmp_path, error, told):
    (tmp_path / "a").write_text("old")

    def fail(partial: Path) -> None:
        partial.write_text("half")
        raise error

    with pytest.raises(UnwritableError, match=f"a cannot be written .{told}"):
        write_file(tmp_path / "a", fail)
    assert (tmp_path / "a").read_text() == "old" and os.listdir(tmp_path) == ["a"]


def test_a_file_never_replaces_a_folder_nor_a_link_to_one(tmp_path, kept):
    (tmp_path / "link").symlink_to(kept)
    for target in (kept, tmp_path / "link"):
        with pytest.raises(OutputError, match=f"{target} is a folder"):
            write_file(target, lambda path: path.write_text("new"))
    assert contents(kept) == {"thesis.txt": "years"} and (tmp_path / "link").is_symlink()


def test_a_file_never_replaces_a_device(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="is a device and a file is to be written there"):
        write_file(tmp_path / "pipe", lambda path: path.write_text("new"))
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_folder_never_replaces_a_file(tmp_path):
    (tmp_path / "thesis").write_text("years")
    with pytest.raises(OutputError, match="thesis is a file .* move it away, or name another folder"):
        write_folder(tmp_path / "thesis", fill)
    assert contents(tmp_path) == {"thesis": "years"}


def test_a_folder_takes_the_place_of_a_folder_whole(tmp_path, kept):
    write_folder(kept, fill)
    write_folder(tmp_path / "new" / "one", fill)
    assert contents(kept) == contents(tmp_path / "new" / "one") == WHOLE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "new"]


def test_what_fails_half_way_leaves_the_old_one_and_nothing_else(tmp_path, kept):
    def half(path):
        path.write_text("half")
        raise RuntimeError

    for write, target in ((write_file, kept / "thesis.txt"), (write_folder, kept)):
        with pytest.raises(RuntimeError):
            write(target, half)
        assert contents(tmp_path) == {"kept/thesis.txt": "years"}
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_folder_comes_back_if_the_new_one_cannot_come(tmp_path, monkeypatch, kept):
    replace = os.replace

    def interrupted(source, target):
        if target == kept and not str(source).endswith(".replaced"):
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_folder(kept, fill)
    assert contents(tmp_path) == {"kept/thesis.txt": "years"}


@pytest.mark.parametrize("write", [write_file, write_folder])
def test_all_is_on_disk_before_the_old_one_goes_and_then_its_name(tmp_path, monkeypatch, write):
    events, fsync, replace = [], os.fsync, os.replace

    def on_disk(descriptor):
        fsync(descriptor)
        events.append(os.fstat(descriptor).st_ino)

    def moved(source, target):
        replace(source, target)
        events.append("moved")

    monkeypatch.setattr(os, "fsync", on_disk)
    monkeypatch.setattr(os, "replace", moved)
    target = tmp_path / "out"
    write(target, fill if write is write_folder else lambda path: path.write_text("1"))
    before, after = events[: events.index("moved")], events[events.index("moved") + 1 :]
    assert set(before) == {path.stat().st_ino for path in (target, *target.rglob("*"))}
    assert after == [tmp_path.stat().st_ino]


@pytest.fixture
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o027], indirect=True)
def test_files_have_the_mode_that_the_umask_leaves(tmp_path, umask):
    def save(path):
        safetensors.torch.save_file({"weights": torch.zeros(2)}, str(path))  # its own writer leaves 0600

    def save_within(folder):
        folder.mkdir()
        save(folder / "weights")

    write_file(tmp_path / "weights", save)
    write_folder(tmp_path / "folder", save_within)
    for file in (tmp_path / "weights", tmp_path / "folder" / "weights"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o777 & ~umask


def test_what_a_link_leads_to_keeps_its_mode(tmp_path):
    (tmp_path / "theirs").write_text("read only")
    (tmp_path / "theirs").chmod(0o400)
    write_file(tmp_path / "soft", lambda path: path.symlink_to(tmp_path / "theirs"))
    write_file(tmp_path / "hard", lambda path: os.link(tmp_path / "theirs", path))
    assert stat.S_IMODE((tmp_path / "theirs").stat().st_mode) == 0o400
    write_file(tmp_path / "soft", lambda path: path.write_text("ours"))
    assert (tmp_path / "theirs").read_text() == "read only" and not (tmp_path / "soft").is_symlink()


WORKS = """
import sys, time
from pathlib import Path
from tpl.files import RUN, alone_in
with alone_in(Path(sys.argv[1])):
    print("in", flush=True)
    time.sleep(600)
"""


def test_who_comes_second_hears_who_works_there_and_a_killed_one_is_not_in_the_way(tmp_path):
    command = [sys.executable, "-c", WORKS, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout and other.stdout.readline() == "in\n"
        said = rf"^process {other.pid} on {re.escape(platform.node())} has been working in {tmp_path} since 20.+ \(.+\)"
        with pytest.raises(BusyError, match=said + ": wait until it has ended, or end it$"), alone_in(tmp_path):
            pass
        other.send_signal(signal.SIGKILL)
    with alone_in(tmp_path):
        assert json.loads((tmp_path / ".lock").read_text())["process"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_beside_a_folder_outlasts_its_removal(tmp_path):
    folder, lock = tmp_path / "run", tmp_path / ".run.lock"
    with alone_in(folder, lock):
        folder.mkdir()
        shutil.rmtree(folder)
        with pytest.raises(BusyError, match="has been working in"), alone_in(folder, lock):
            pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["tpl.files.Path.mkdir", "tpl.files.FileLock.acquire"])
@pytest.mark.parametrize(
    ("number", "remedy"), [(errno.EROFS, "choose another folder"), (errno.ENOSPC, "free some space")]
)
def test_a_lock_where_nothing_can_be_written_names_the_remedy(tmp_path, monkeypatch, where, number, remedy):
    def fail(*given, **options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(where, fail)
    with pytest.raises(UnwritableError, match=f"{tmp_path} cannot be written .*: {remedy}"), alone_in(tmp_path):
        pass


@pytest.mark.parametrize("variables", [{"LOCAL_RANK": "0", "MASTER_ADDR": "here", "MASTER_PORT": "1"}, {RUN: "7"}])
def test_processes_of_one_launch_or_run_wait_for_each_other(tmp_path, monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    works = WORKS.replace("600", "2.5")
    with subprocess.Popen([sys.executable, "-c", works, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout and other.stdout.readline() == "in\n"
        with alone_in(tmp_path):
            assert other.wait(timeout=60) == 0
