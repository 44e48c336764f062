"""What a run says of itself: machine, commit, versions, seconds, memory."""

import platform
import resource
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

REPORTED = ("torch", "torchvision", "accelerate", "numpy", "scikit-image", "trimesh")


def describe_run(device: torch.device, seconds: float) -> dict[str, Any]:
    """Where and how long something ran: what a reader needs to judge a number."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name(),
        "threads": torch.get_num_threads(),
        "seconds": round(seconds, 1),
        "peak_memory_gb": round(peak / 1e9, 2),
        "git": git_commit(),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in REPORTED},
        "finished": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
    }


def cpu_name() -> str:
    """The processor's name as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def git_commit() -> str:
    """The commit of the working tree, marked where it has changes; empty outside a repository."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
