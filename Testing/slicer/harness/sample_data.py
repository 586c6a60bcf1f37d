"""A small stand-in for Slicer's module `SampleData`: what `SampleDataLogic` keeps of registered sources.

As in Slicer 5.10 to 5.12 the sources are a dictionary in `slicer.modules.sampleDataSources`, lists of one source must
be of one length, and a source's own downloader is called with the source. Categories with titles (5.13) are absent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import slicer


class SampleDataSource:
    """One entry; the lists have one element a file."""

    def __init__(
        self,
        sampleName: str,
        uris: Sequence[str],
        fileNames: Sequence[str],
        nodeNames: Sequence[str],
        customDownloader: Callable[[Any], Any] | None,
        thumbnailFileName: str | None,
    ) -> None:
        if not len(uris) == len(fileNames) == len(nodeNames):
            raise ValueError("All fields of sample data source must have the same length")
        self.sampleName = self.sampleDescription = sampleName
        self.uris, self.fileNames, self.nodeNames = uris, fileNames, nodeNames
        self.customDownloader = customDownloader
        self.thumbnailFileName = thumbnailFileName


class SampleDataLogic:
    """The part of the logic that other modules call."""

    @staticmethod
    def registerCustomSampleDataSource(
        category: str = "Custom",
        sampleName: str = "",
        uris: Sequence[str] = (),
        fileNames: Sequence[str] = (),
        nodeNames: Sequence[str] = (),
        customDownloader: Callable[[Any], Any] | None = None,
        thumbnailFileName: str | None = None,
    ) -> None:
        """Keep a source."""
        source = SampleDataSource(sampleName, uris, fileNames, nodeNames, customDownloader, thumbnailFileName)
        SampleDataLogic._sources().setdefault(category, []).append(source)

    @staticmethod
    def sampleDataSourcesByCategory(category: str) -> list[SampleDataSource]:
        """The sources of a category."""
        return SampleDataLogic._sources().get(category, [])

    @staticmethod
    def _sources() -> dict[str, list[SampleDataSource]]:
        if not hasattr(slicer.modules, "sampleDataSources"):
            slicer.modules.sampleDataSources = {}
        found: dict[str, list[SampleDataSource]] = slicer.modules.sampleDataSources
        return found
