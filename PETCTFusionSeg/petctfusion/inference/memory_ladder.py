"""What to try next when memory runs out: smaller windows, then half precision, then the CPU. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from petctfusion.errors import OutOfMemoryError

T = TypeVar("T")
Triple = tuple[int, int, int]
# What torch, CUDA, cuDNN, oneDNN and the C++ library say; torch.OutOfMemoryError is a RuntimeError of the first kind.
_PHRASES = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "alloc_failed",
    "failed to allocate",
    "bad_alloc",
    "bad allocation",
)


@dataclass(frozen=True)
class Rung:
    """One way to run: device, window (z, y, x) in voxels, windows per forward pass, half precision or not."""

    device: str
    patch: Triple
    batch: int
    half: bool

    @property
    def sentence(self) -> str:
        """What is announced when this way is tried."""
        size = " x ".join(str(n) for n in self.patch)
        precision = "half" if self.half else "full"
        where = "the processor" if self.device == "cpu" else f"the GPU ({self.device})"
        return f"Memory ran out; trying again on {where} with windows of {size} voxels in {precision} precision."


def rungs(start: Rung, divisor: Triple, gpu_has_half: bool = True) -> Iterator[Rung]:
    """The ladder from `start` down.

    On a GPU: smaller windows, the same windows in half precision, then the CPU from its largest window down; on a
    CPU: smaller windows. Window lengths stay multiples of `divisor` (z, y, x) and at least twice that (instance norm
    needs more than one voxel at the deepest level), or 1 for a network of single slices.
    """
    sizes = list(_smaller(start, divisor))
    yield from sizes
    if start.device == "cpu":
        return
    if gpu_has_half and not start.half:
        yield from (Rung(r.device, r.patch, r.batch, True) for r in sizes)
    yield from (Rung("cpu", r.patch, r.batch, False) for r in sizes)


def climb(ladder: Iterable[Rung], attempt: Callable[[Rung], T], announce: Callable[[str], None]) -> T:
    """The first result of `attempt` that fits into memory; every step after the first is announced.

    Raises `OutOfMemoryError` when no rung is left. Other errors pass through.
    """
    tried = 0
    for rung in ladder:
        if tried:
            announce(rung.sentence)
        tried += 1
        try:
            return attempt(rung)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        # Outside the except block: the traceback, and with it the tensors of the failed attempt, is gone by now.
    raise OutOfMemoryError(
        f"There is not enough memory for this study, even after {tried} attempts with ever smaller windows.",
        "Close other programs, or crop the volumes to the region of interest.",
    )


def is_out_of_memory(error: BaseException) -> bool:
    """True for a failed allocation on a GPU or in main memory."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(phrase in text for phrase in _PHRASES)


def _smaller(start: Rung, divisor: Triple) -> Iterator[Rung]:
    yield start
    batch, patch = start.batch, start.patch
    if batch > 1:
        batch = 1
        yield Rung(start.device, patch, batch, start.half)
    while (halved := _halved(patch, divisor)) != patch:
        patch = halved
        yield Rung(start.device, patch, batch, start.half)


def _halved(patch: Triple, divisor: Triple) -> Triple:
    z, y, x = (
        length if length <= 2 * step else max(2 * step, length // 2 // step * step)
        for length, step in zip(patch, divisor, strict=True)
    )
    return z, y, x
