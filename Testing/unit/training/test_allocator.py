"""Memory that was given back stays in the process: no page is faulted in twice."""

import subprocess
import sys

import pytest

# 64 MB, which glibc by default maps anew each time, five times.
_FAULTS = """
import ctypes, resource, sys
from petctfusion.training.allocator import keep_memory
if sys.argv[1] == "kept":
    keep_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
def once():
    block = libc.malloc(ctypes.c_size_t(64 << 20))
    ctypes.memset(block, 1, 64 << 20)
    libc.free(ctypes.c_void_p(block))
once()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    once()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", _FAULTS, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_activations_are_not_faulted_in_again():
    usual = faults("usual")
    if usual < 100:
        pytest.skip("another allocator, which keeps its memory anyway")
    assert faults("kept") < 0.05 * usual
