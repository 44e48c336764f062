"""Processes that are ended from outside: nobody outlives them, and who is asked to end leaves nothing half-written."""

import os
import signal

import joblib
import pytest
from endings import end, start, wait_until

from tpl.border import told_in_a_sentence

WORKERS = """
import sys, time
from pathlib import Path
import joblib

def work(name):
    import tpl
    (Path(sys.argv[1]) / name).touch()
    time.sleep(600)

joblib.Parallel(n_jobs=2)(joblib.delayed(work)(name) for name in "ab")
"""

WRITES = """
import subprocess, sys, time
from pathlib import Path
from tpl.border import told_in_a_sentence
from tpl.files import alone_in, write_file

def write(path):
    path.write_text("half")
    with subprocess.Popen(["sleep", "600"]) as other:
        try:
            (folder / "begun").touch()  # not before: who is ended while a process starts knows nothing of it
            other.wait()
        except BaseException:
            other.kill()
            raise

folder = Path(sys.argv[1])
with told_in_a_sentence(), alone_in(folder):
    write_file(folder / "whole", write)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_the_process_that_started_them(tmp_path, how):
    process = start(WORKERS.replace("sys.argv[1]", repr(str(tmp_path))))
    wait_until(lambda: len(list(tmp_path.iterdir())) == 2, process)
    assert end(process, how)[1] == []


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_is_killed_alone_is_told_in_a_sentence():
    """As the system does where memory is short: joblib then gives all of the work up."""
    with pytest.raises(
        SystemExit, match="^tpl: a process at work was ended from outside, or by the system for want of"
    ):
        with told_in_a_sentence():
            joblib.Parallel(n_jobs=2)(joblib.delayed(be_killed)() for _ in range(2))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_who_is_asked_to_end_says_so_and_leaves_nothing_half_written(tmp_path, how):
    process = start(WRITES, tmp_path)
    wait_until((tmp_path / "begun").exists, process)
    said, alive = end(process, how)
    assert process.returncode == 1 and alive == []
    assert said == "tpl: interrupted; what was finished is kept, and the same command goes on from there\n"
    assert [path.name for path in tmp_path.iterdir()] == ["begun"]
