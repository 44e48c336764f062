"""The project's own files agree with each other, and shapes are checked in this very run of the tests."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import yaml
from jaxtyping import TypeCheckError

from tpl.metrics import chamfer_distance

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def names(requirements: list[str]) -> set[str]:
    """The packages of a list of requirements, spelt in the one way that the registries compare."""
    found = (re.match(r"[A-Za-z0-9._-]+", line) for line in requirements)
    return {re.sub(r"[-_.]+", "-", match[0]).lower() for match in found if match}


def test_shapes_are_checked_in_this_run():
    with pytest.raises(TypeCheckError):
        chamfer_distance(np.zeros((5, 2)), np.zeros((5, 3)))


@pytest.mark.parametrize(("own", "taken"), [("", "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_that_wait_sleep_unless_the_user_says_otherwise(own, taken):
    """It is set before torch is loaded, which reads it once, and what is started from here has it from here."""
    code = "import os, sys, tpl; assert 'torch' not in sys.modules; print(os.environ['OMP_WAIT_POLICY'])"
    others = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment = others | ({"OMP_WAIT_POLICY": own} if own else {})
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == taken


def test_the_lock_file_holds_every_package_that_is_asked_for_and_no_address():
    extras = {name: lines for name, lines in PROJECT["optional-dependencies"].items() if name != "masks"}
    asked = PROJECT["dependencies"] + [line for lines in extras.values() for line in lines]
    lock = (ROOT / "requirements.lock").read_text()
    assert names(asked) <= names(lock.splitlines())
    assert all("==" in line for line in lock.splitlines()) and "://" not in lock
    makefile = (ROOT / "Makefile").read_text()
    assert [name for name in extras if f"--extra {name}" not in makefile] == []  # `make lock` asks for the same


def test_conda_s_environment_is_the_lock_file_and_this_package():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, packages = environment["dependencies"]
    assert pip == "pip" and packages == {"pip": ["-r requirements.lock", "-e ."]}
    assert python.removeprefix("python=") >= PROJECT["requires-python"].removeprefix(">=")


def test_the_versions_and_the_licence_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"] == (ROOT / "LICENSE").read_text().split()[0]


def test_every_command_that_the_readme_names_exists():
    readme, makefile = ((ROOT / name).read_text() for name in ("README.md", "Makefile"))
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert {"book", "test", "check", "lab", "site", "clean"} <= targets
    assert set(re.findall(r"make ([a-z]+)", readme)) <= targets
    from tpl.__main__ import COMMANDS

    assert set(re.findall(r"\btpl ([a-z]+) ", readme)) <= set(COMMANDS)


def test_an_old_python_is_told_so(tmp_path):
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    result = subprocess.run(["make", "book", f"PYTHON={old}"], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode != 0 and f"this needs Python 3.11 or newer, and {old} is older" in result.stdout
    assert not (tmp_path / ".venv").exists()


def test_the_package_takes_its_data_files_along():
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    assert set(asked) == {"*"}  # of every package
    taken = {file for each in asked["*"] for file in (ROOT / "tpl").rglob(each)}
    there = [file for file in (ROOT / "tpl").rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    assert {file for file in there if file.suffix != ".py"} <= taken


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LOG.md", "data/README.md"])
def test_links_between_the_papers_lead_somewhere(name):
    page = ROOT / name
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_changelog_begins_with_what_is_not_released_then_with_this_version():
    first, second = re.findall(r"^## ([\w.]+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[:2]
    assert (first, second) == ("Unreleased", PROJECT["version"])


def test_every_command_and_file_that_the_contributing_page_names_exists():
    page, makefile = ((ROOT / name).read_text() for name in ("CONTRIBUTING.md", "Makefile"))
    from tpl.__main__ import COMMANDS

    code = [first or second for first, second in re.findall(r"`([^`\n]+)`|^    (.+)$", page, re.MULTILINE)]
    made = {words[1] for words in map(str.split, code) if words[0] == "make"}
    called = {words[1] for words in map(str.split, code) if words[0] == "tpl" and len(words) > 1}
    files = {text for text in code if re.fullmatch(r"(tpl|tests|book)/[\w/.]+", text) and "NN_" not in text}
    assert made and made <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert called and called <= set(COMMANDS)
    assert files and [name for name in files if not (ROOT / name).exists()] == []


def test_the_faults_that_a_test_is_named_for_are_tried_by_it():
    named = re.findall(r"`(tests/\S+\.py)::(\w+)`", (ROOT / "benchmarks" / "FAULTS.md").read_text())
    assert len(named) > 20
    for file, test in named:
        assert f"\ndef {test}(" in (ROOT / file).read_text(), f"{file} has no {test}"
