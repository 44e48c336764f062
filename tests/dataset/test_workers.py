"""Calls that hang, crash or lose their machine: each ends as it must, and the others do not notice."""

import ctypes
import os
import signal
import subprocess
import threading
import time
from functools import partial

import numpy as np
import pandas as pd
import psutil
import pytest
import trimesh

from tpl.dataset.prepare import PrepareConfig, prepare, write_report
from tpl.dataset.store import Store
from tpl.dataset.workers import ClusterError, Lost, open_pool
from tpl.errors import DEADLINE, OutOfTime
from tpl.shapes import Shape

SMALL = PrepareConfig(sdf_samples=600, cross_samples=200, surface_points=500, easy_views=2, hard_views=2, image_size=32)


def ball(radius: float, then=None) -> trimesh.Trimesh:
    if then:
        then()
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=radius)
    mesh.visual.face_colors = [90, 120, 150, 255]
    return mesh


def kill_the_worker(once) -> None:
    """Ends the process that this one serves, the first time."""
    if not once.exists():
        once.touch()
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)  # this one ends by itself now


def shape(number: int, then=None) -> Shape:
    return Shape(f"ball-{number}", "chairs", "ball", "train", partial(ball, 0.3 + 0.01 * number, then), "balls", "this")


def contents(store: Store) -> dict[str, bytes]:
    files = [path for path in store.root.rglob("*") if path.is_file() and path.name != "report.csv"]
    return {str(path.relative_to(store.root)): path.read_bytes() for path in files}


# --- calls


@pytest.mark.parametrize(("jobs", "timeout"), [(1, None), (2, 60)], ids=["in this process", "in two others"])
def test_results_come_in_order_and_an_error_is_a_result(jobs, timeout):
    with open_pool(jobs, timeout) as pool:
        assert pool.call_all(pow, [(number, 2) for number in range(20)], "squares") == [n**2 for n in range(20)]
        (bad,) = pool.call_all(int, [("seven",)], "refused")
        local = 5
        assert pool.call_all(lambda number: number + local, [(1,)], "a function without a name") == [6]
    assert bad.reason == "ValueError: invalid literal for int() with base 10: 'seven'" and bad.seconds < 10


@pytest.mark.parametrize(("jobs", "timeout"), [(1, None), (2, 60)], ids=["in this process", "in two others"])
def test_at_a_deadline_no_call_is_begun_and_those_begun_end(tmp_path, monkeypatch, jobs, timeout):
    folder = str(tmp_path)

    def touch(number):
        time.sleep(0.05)
        open(f"{folder}/{number}", "w").close()

    monkeypatch.setenv(DEADLINE, str(time.time() - 1))
    with open_pool(jobs, timeout) as pool, pytest.raises(OutOfTime, match="^0 of 9 calls are done; the time given"):
        pool.call_all(touch, [(number,) for number in range(9)], "calls")
    assert not list(tmp_path.iterdir())
    remaining = iter([None] * 3)

    def three_more(done):
        if next(remaining, done) is done:
            raise OutOfTime(done)

    monkeypatch.setattr("tpl.dataset.workers.check_time", three_more)
    with open_pool(jobs, timeout) as pool, pytest.raises(OutOfTime, match="^3 of 9"):
        pool.call_all(touch, [(number,) for number in range(9)], "calls")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["0", "1", "2"]


def test_what_takes_too_long_is_ended_with_what_it_started_even_inside_c():
    def sleep_in_c(seconds):  # with Python's lock held: no handler of signals and no other thread could run
        ctypes.PyDLL(None).sleep(seconds)

    def wait_for_another(seconds):  # as for a renderer
        subprocess.run(["sleep", str(seconds)])

    with open_pool(1, timeout=1) as pool:
        (in_c,) = pool.call_all(sleep_in_c, [(3600,)], "")
        (waiting,) = pool.call_all(wait_for_another, [(3601,)], "")
        (after,) = pool.call_all(pow, [(3, 2)], "")
    assert in_c.reason == waiting.reason == "took longer than 1 s and was ended"
    assert 1 < in_c.seconds < 600 and after == 9
    assert not [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "3601"]]


def test_a_process_that_dies_is_replaced_and_its_call_made_again(tmp_path):
    def die(once):
        if once is None or not once.exists():
            once and once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return "done"

    with open_pool(1, timeout=60) as pool:
        once, always = pool.call_all(die, [(tmp_path / "once",), (None,)], "")
    assert once == "done"
    assert always.reason == "its process died 3 times, at last by SIGKILL"


def test_interrupted_nothing_is_left_running():
    started = threading.Event()

    def stop(*_):
        started.set()
        raise KeyboardInterrupt

    before = set(psutil.Process().children(recursive=True))
    old = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 1.5)
    try:
        with pytest.raises(KeyboardInterrupt), open_pool(1, timeout=3600) as pool:
            pool.call_all(time.sleep, [(3600,), (3600,)], "")
    finally:
        signal.signal(signal.SIGALRM, old)
    assert started.is_set()
    assert set(psutil.Process().children(recursive=True)) == before


@pytest.mark.parametrize(("jobs", "timeout"), [(0, None), (-2, None), (1, 0), (1, -3)])
def test_numbers_that_mean_nothing_are_refused(jobs, timeout):
    with pytest.raises(ValueError, match="jobs are 1 or more.*more than 0 seconds"), open_pool(jobs, timeout):
        pass


# --- preparing


def test_a_mesh_that_hangs_is_a_row_and_the_others_are_prepared(tmp_path):
    hangs = shape(1, partial(time.sleep, 3600))
    report = prepare([shape(0), hangs, shape(2)], Store(tmp_path), SMALL, jobs=1, timeout=20)
    assert report.status.tolist() == ["made", "failed", "made"]
    assert report.reason[1] == "took longer than 20 s and was ended" and report.seconds[1] >= 20
    written = pd.read_csv(tmp_path / "report.csv", keep_default_na=False)
    assert written.status.tolist() == ["made", "failed", "made"] and written.reason.tolist() == report.reason.tolist()
    assert {"shape_id", "seconds", "watertight"} <= set(written.columns)


def test_a_report_keeps_its_rows_of_other_shapes(tmp_path):
    def rows(*pairs):
        return pd.DataFrame(
            [("chairs", name, status) for name, status in pairs], columns=["category", "shape_id", "status"]
        )

    file = tmp_path / "report.csv"
    write_report(rows(("a", "made"), ("b", "failed")), file)
    write_report(rows(("b", "made"), ("c", "made")), file)
    found = pd.read_csv(file)
    assert dict(zip(found.shape_id, found.status, strict=True)) == {"a": "made", "b": "made", "c": "made"}
    file.write_text("no table\n")
    write_report(rows(("b", "made")), file)
    assert pd.read_csv(file).shape_id.tolist() == ["b"]


# --- a cluster


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
    ) as made:
        yield made.scheduler_address


def test_a_cluster_that_loses_a_worker_makes_the_same_files(cluster, tmp_path):
    """The worker is killed from inside its third shape, which the other worker then prepares anew."""
    shapes = [shape(number) for number in range(6)]
    fatal = [shape(2, partial(kill_the_worker, tmp_path / "killed")) if n == 2 else shapes[n] for n in range(6)]
    alone, many = Store(tmp_path / "alone"), Store(tmp_path / "many")
    prepare(shapes, alone, SMALL, jobs=1)
    report = prepare(fatal, many, SMALL, timeout=60, cluster=cluster)
    assert (tmp_path / "killed").exists()
    assert set(report.status) <= {"made", "kept"}, report.reason.tolist()  # kept: a result that was lost with it
    assert contents(alone) == contents(many)
    assert len(contents(alone)) == 6 * (3 + 1 + 1 + 3 + 5)


def test_a_mesh_that_hangs_on_a_cluster_is_ended_and_its_worker_goes_on(cluster, tmp_path):
    hangs = shape(0, partial(time.sleep, 3600))
    report = prepare([hangs, shape(1), shape(2)], Store(tmp_path), SMALL, timeout=25, cluster=cluster)
    assert report.status.tolist() == ["failed", "made", "made"]
    assert report.reason[0] == "took longer than 25 s and was ended"


def test_a_cluster_that_is_not_there_is_said_in_one_sentence(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("tpl.dataset.workers.WAIT", 0.3)
    with pytest.raises(ClusterError, match="no dask scheduler answers at tcp://127.0.0.1:9 .*`dask scheduler`"):
        with open_pool(cluster="tcp://127.0.0.1:9"):
            pass
    assert np.isnan(Lost("").seconds)
