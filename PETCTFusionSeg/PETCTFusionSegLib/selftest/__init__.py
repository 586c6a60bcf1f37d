"""Stories that run in the Slicer application (`PETCTFusionSegTest`) and on the test harness."""
