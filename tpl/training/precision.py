"""The format in which a training multiplies matrices: the faster one here, found by the clock once a process."""

import functools
import time
from typing import Literal

import torch
from torch.nn import functional as F

POINTS, WIDTH, GATES = 2048, 512, 2048
"""A product of phase 1 at the paper's size: points, the LSTM's hidden state, its four gates."""

WORTH_IT = 1.2
"""By how many times bfloat16 must be faster. It keeps 8 bits where fp32 keeps 24, and a clock errs by some tenths."""


def half_precision(precision: Literal["auto", "bf16", "fp32"], device: torch.device) -> bool:
    """Whether matrices are multiplied in bfloat16; "auto" is yes where that is faster."""
    return bfloat16_is_faster(device) if precision == "auto" else precision == "bf16"


@functools.cache
def bfloat16_is_faster(device: torch.device) -> bool:
    """Whether a product, there and back, takes less time in bfloat16 than in fp32 on this device.

    Instructions for it do not say so: an Intel Xeon with avx512_bf16 and without AMX reaches 115 to 145 GFLOP/s in fp32
    and 71 to 85 in bfloat16. Without any it is emulated, and the clock need not be asked.
    """
    if not has_bfloat16(device):
        return False
    return WORTH_IT * product_seconds(True, device) < product_seconds(False, device)


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def product_seconds(half: bool, device: torch.device) -> float:
    """What the product takes forward and backward as in a training, casts included: the fastest of five."""
    points, matrix = (torch.ones(rows, WIDTH, device=device, requires_grad=True) for rows in (POINTS, GATES))
    seconds = []
    for _ in range(5):
        start = clock(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            product = F.linear(points, matrix)
        product.backward(torch.ones_like(product))
        seconds.append(clock(device) - start)
    return min(seconds)


def clock(device: torch.device) -> float:
    """Seconds, once the device has finished what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
