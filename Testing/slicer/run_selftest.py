"""Runs the module's stories in 3D Slicer and ends it with exit code 0 or 1.

    Slicer --testing --no-splash --additional-module-paths PETCTFusionSeg --python-script Testing/slicer/run_selftest.py

An exception in a --python-script leaves Slicer open with no exit code, hence the wrapping.
"""

import sys
import traceback

import slicer


def run() -> int:
    """0 when every story passed."""
    try:
        import PETCTFusionSeg

        PETCTFusionSeg.PETCTFusionSegTest().runTest()
    except BaseException:
        traceback.print_exc()
        return 1
    print("PETCTFusionSeg: all stories passed")
    return 0


# With --testing Slicer ends as soon as this script returns, so the stories run here, not from a timer.
code = run()
sys.stdout.flush()
slicer.util.exit(code)
