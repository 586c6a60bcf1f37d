"""The client's half of a conversation without a transport: requests as bytes out, bytes in, events out. No torch.

session = WorkerSession(on_event=show)       # show(Progress | Segmented | Failure | ...)
process.write(session.hello())               # once after every start of the process
process.write(session.segment({"CT": ct, "PET": pet}, "sts_light", SegmentOptions()))
session.feed(process.read_all())             # whenever bytes arrive
session.process_ended(exit_code)             # when the process is gone: a running request fails with a sentence
session.close()                              # removes the exchange folder
"""

from __future__ import annotations

import itertools
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import SimpleITK as sitk
from numpy.typing import NDArray

from petctfusion.errors import FusionError
from petctfusion.inference.clicks import Click
from petctfusion.inference.maps import StudyMap
from petctfusion.inference.options import SegmentOptions
from petctfusion.worker import protocol
from petctfusion.worker.exchange import Exchange, array_of_frame, pack, read_array, unpack, write_array
from petctfusion.worker.protocol import Event, Failure, Frame, Progress, Ready, Result

Transport = Literal["files", "frames"]
RESTART_HINT = "Nothing you edited is lost; the worker starts again with the next run."


@dataclass(frozen=True)
class PackedImage:
    """Values and place of an image; `image` is made when it is first asked for."""

    array: NDArray[Any] = field(repr=False)
    description: dict[str, Any] = field(repr=False)

    @cached_property
    def image(self) -> sitk.Image:
        """The SimpleITK image."""
        return unpack(self.array, self.description)


@dataclass(frozen=True)
class Segmented:
    """The answer to `segment` and `refine`: images on the output grid as in `inference.StudyResult`.

    `model` is "name version"; `values` holds the rest of the answer as it came.
    """

    id: int
    request: str
    model: str
    device: str
    notes: tuple[str, ...]
    seconds: float
    packed: dict[str, PackedImage] = field(repr=False)
    values: dict[str, Any] = field(repr=False)

    @property
    def labels(self) -> sitk.Image:
        """Label map, uint8."""
        return self.packed["labels"].image

    @property
    def probability(self) -> sitk.Image:
        """Probability, uint8, 255 = 1."""
        return self.packed["probability"].image


@dataclass(frozen=True)
class Explained(Segmented):
    """The answer to `explain`: a segmentation, its uncertainty on the output grid, then every attention map on its
    network's grid."""

    maps: tuple[StudyMap, ...] = ()


@dataclass(frozen=True)
class Shipment:
    """Volumes on their way with the request `number`: their descriptions, and the frames of those that are no files."""

    number: int
    transport: Transport
    descriptions: dict[str, dict[str, Any]] = field(repr=False)
    frames: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True)
class ClickGuide:
    """The network that is to answer a click: a model whose card has `clicks`, and what it needs of the study.

    `volumes`: modality to image, as `inference.prepare.local_volumes` cuts them around the newest click.
    """

    model: str | Path
    volumes: Mapping[str, sitk.Image] = field(repr=False)
    device: str = "auto"


SessionEvent = Event | Segmented


class WorkerSession:
    """What the client knows of its worker. Not thread-safe: one thread, or a lock, for all calls.

    `on_event` is called for every event, in order; `feed` and `process_ended` return the same events. The transport
    is negotiated by `hello`: files as soon as the worker has shown that it sees the exchange folder, frames
    otherwise; `transport` fixes it. Raises `OutputError` when the exchange folder cannot be made or filled.
    """

    def __init__(
        self,
        on_event: Callable[[SessionEvent], None] | None = None,
        transport: Transport | None = None,
        exchange_root: Path | None = None,
    ) -> None:
        self.exchange = Exchange.create(exchange_root)
        self.transport: Transport = transport or "files"
        self.worker: dict[str, Any] = {}
        self.pending: dict[int, str] = {}
        self._fixed_transport = transport
        self._on_event = on_event
        self._ids = itertools.count(1)
        self._decoder = protocol.LineDecoder()
        self._frames: dict[tuple[int, str], bytes] = {}

    @property
    def running(self) -> int | None:
        """The oldest request that computes and has no answer yet."""
        return next((number for number, request in self.pending.items() if request not in ("hello", "cancel")), None)

    @property
    def last_id(self) -> int:
        """The id of the newest request."""
        return max(self.pending, default=0)

    def hello(self) -> bytes:
        """Asks for versions, devices and the transport; the answer's values are kept in `worker`."""
        return self._request(
            "hello",
            protocol=protocol.PROTOCOL_VERSION,
            exchange=str(self.exchange.folder),
            secret=self.exchange.secret,
            transport=self._fixed_transport,
        )

    def probe(self) -> bytes:
        """Asks for a verdict on every device, after a trial convolution on each; the answer is a `Result`."""
        return self._request("probe")

    def load(self, model: str | Path, device: str = "auto") -> bytes:
        """Loads a model (name or folder) ahead of the first run."""
        return self._request("load", model=str(model), device=device)

    def reserve(self, request: str) -> int:
        """A number for a request whose volumes are shipped later: from now on it fails when the process ends."""
        number = next(self._ids)
        self.pending[number] = request
        return number

    def ship(self, number: int, volumes: Mapping[str, sitk.Image]) -> Shipment:
        """Writes the volumes of a reserved request; the one method that may run in another thread.

        Raises `OutputError`. What was written for a request that is withdrawn meanwhile is removed.
        """
        transport, descriptions, frames = self.transport, {}, []
        try:
            for name, image in volumes.items():
                descriptions[name], frame = self._shipped(number, name, image, transport)
                frames.append(frame)
        except FusionError:
            self.exchange.forget(number)
            raise
        if number not in self.pending:
            self.exchange.forget(number)
        return Shipment(number, transport, descriptions, tuple(frames))

    def withdraw(self, number: int) -> None:
        """A reserved request is not wanted any more."""
        self._forget(number)

    def segment(
        self, volumes: Mapping[str, sitk.Image] | Shipment, model: str | Path, options: SegmentOptions | None = None
    ) -> bytes:
        """Segments a study: `volumes` maps the modality to its image (CT in HU, PET in SUVbw), or has been shipped."""
        return self._request(
            "segment", volumes, model=str(model), options=(options or SegmentOptions(device="auto")).to_json()
        )

    def refine(
        self,
        probability: sitk.Image,
        labels: sitk.Image,
        clicks: Sequence[Click],
        threshold: float,
        value: int = 1,
        guide: ClickGuide | None = None,
    ) -> bytes:
        """Corrects one label by clicks; the answer is `Segmented`.

        With a `guide` its network answers the last of the clicks, knowing all of them, from the labels 48 mm around it
        and more; otherwise all of them act on the probability, in their order. The probability stays as it was.
        """
        images = {"probability": probability, "labels": labels}
        network = {}
        if guide is not None:
            images |= guide.volumes
            network = {"model": str(guide.model), "device": guide.device}
        asked = [click.to_json() for click in clicks]
        return self._request("refine", images, clicks=asked, threshold=threshold, value=value, **network)

    def explain(
        self, volumes: Mapping[str, sitk.Image] | Shipment, model: str | Path, options: SegmentOptions | None = None
    ) -> bytes:
        """As `segment`, with the networks watched; the answer is `Explained`, its segmentation that of `segment`."""
        return self._request(
            "explain", volumes, model=str(model), options=(options or SegmentOptions(device="auto")).to_json()
        )

    def cancel(self, target: int | None = None) -> bytes:
        """Cancels a request, the running one by default; that request is then answered by a `cancelled` error."""
        return self._request("cancel", target=self.running if target is None else target)

    def bye(self) -> bytes:
        """Ends the worker after what it computes now."""
        return self._request("bye")

    def feed(self, data: bytes) -> list[SessionEvent]:
        """The events that are complete with `data`."""
        events = []
        for message in self._decoder.feed(data):
            event = self._understood(protocol.parse_event(message))
            if event is not None:
                events.append(event)
        return self._told(events)

    def process_ended(self, exit_code: int | None) -> list[SessionEvent]:
        """Every request without an answer fails with a sentence; the session is ready for a new process."""
        message = f"The background worker ended during the run{_how(exit_code)}."
        failures: list[SessionEvent] = [
            Failure(number, "internal", message, RESTART_HINT) for number in list(self.pending)
        ]
        for number in list(self.pending):
            self._forget(number)
        self._decoder = protocol.LineDecoder()
        self._frames.clear()
        self.worker = {}
        self.transport = self._fixed_transport or "files"
        return self._told(failures)

    def close(self) -> None:
        """Removes the exchange folder."""
        self.exchange.close()

    def _request(
        self, request: str, volumes: Mapping[str, sitk.Image] | Shipment | None = None, **values: Any
    ) -> bytes:
        if volumes is None:
            number = self.reserve(request)
            return protocol.encode({"id": number, "request": request, **values})
        if not isinstance(volumes, Shipment):
            number = self.reserve(request)
            try:
                volumes = self.ship(number, volumes)
            except FusionError:
                self._forget(number)
                raise
        number, folder = volumes.number, {}
        if volumes.transport == "files":
            folder = {"output": str(self.exchange.request_folder(number))}
        message = {
            "id": number,
            "request": request,
            **values,
            "transport": volumes.transport,
            "volumes": volumes.descriptions,
            **folder,
        }
        return b"".join((*volumes.frames, protocol.encode(message)))

    def _shipped(self, number: int, name: str, image: sitk.Image, transport: Transport) -> tuple[dict[str, Any], bytes]:
        array, description = pack(image)
        if transport == "frames":
            return description, protocol.encode_frame({"id": number, "request": "frame", "name": name}, array.data)
        path = self.exchange.request_folder(number) / f"{name}.npy"
        write_array(array, path)
        return {**description, "file": str(path)}, b""

    def _understood(self, event: Event) -> SessionEvent | None:
        if isinstance(event, Frame):
            self._frames[event.id, event.name] = event.payload
            return None
        if isinstance(event, Progress):
            # What was cancelled or answered already is over for the user.
            return event if event.id in self.pending else None
        if isinstance(event, Ready) and event.protocol != protocol.PROTOCOL_VERSION:
            return Failure(
                event.id,
                "internal",
                f"The worker speaks protocol {event.protocol}, this program {protocol.PROTOCOL_VERSION}.",
                "Install the same version of PETCTFusionSeg on both sides.",
            )
        if isinstance(event, Failure):
            self._forget(event.id)
            return event
        if isinstance(event, Result):
            answer = self._answer(event)
            self._forget(event.id)
            return answer
        return event

    def _answer(self, event: Result) -> SessionEvent:
        if event.request == "hello":
            self.worker = event.values
            self.transport = self._fixed_transport or (
                "frames" if event.values.get("transport") == "frames" else "files"
            )
        if event.request not in ("segment", "refine", "explain"):
            return event
        try:
            packed = {name: self._fetched(event.id, name, d) for name, d in event.values["images"].items()}
            answer = Segmented(
                event.id,
                event.request,
                str(event.values.get("model", "")),
                str(event.values.get("device", "")),
                tuple(event.values.get("notes", ())),
                float(event.values["seconds"]),
                packed,
                {key: value for key, value in event.values.items() if key != "images"},
            )
            return _explained(answer) if event.request == "explain" else answer
        except FusionError as error:
            return Failure(event.id, error.kind, error.message, error.hint)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return Failure(event.id, "internal", f"The worker's answer is not understood: {error!r}.", RESTART_HINT)

    def _fetched(self, number: int, name: str, description: dict[str, Any]) -> PackedImage:
        if "file" not in description:
            return PackedImage(array_of_frame(self._frames[number, name], description), description)
        # Copied, because the file goes: results are bytes per voxel, 52 MB for a whole body at 2 mm.
        return PackedImage(read_array(Path(description["file"])).copy(), description)

    def _forget(self, number: int) -> None:
        self.pending.pop(number, None)
        for key in [key for key in self._frames if key[0] == number]:
            del self._frames[key]
        shutil.rmtree(self.exchange.folder / str(number), ignore_errors=True)

    def _told(self, events: list[SessionEvent]) -> list[SessionEvent]:
        if self._on_event is not None:
            for event in events:
                self._on_event(event)
        return events


def _explained(answer: Segmented) -> Explained:
    maps = (
        StudyMap(str(entry["name"]), entry["kind"], str(entry["model"]), answer.packed[entry["image"]].image)
        for entry in answer.values["maps"]
    )
    return Explained(**vars(answer), maps=tuple(maps))


def _how(exit_code: int | None) -> str:
    """How a process ended, in words: by a signal (negative code on POSIX) or with a code."""
    if exit_code is None:
        return ""
    if exit_code >= 0:
        return f" (exit code {exit_code})"
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = f"signal {-exit_code}"
    return f" ({name}: the system may have run out of memory)" if name == "SIGKILL" else f" ({name})"
