"""The worker's own process: one thread reads, the main thread computes, models stay warm."""

from __future__ import annotations

import os
import platform
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import SimpleITK as sitk

import petctfusion
from petctfusion.errors import BadInputError, CancelledError, FusionError, OutOfMemoryError, WorkerError
from petctfusion.inference.clicks import Click, refine_labels
from petctfusion.inference.maps import StudyMap
from petctfusion.inference.memory_ladder import is_out_of_memory
from petctfusion.inference.options import SegmentOptions
from petctfusion.inference.uncertainty import entropy_image
from petctfusion.worker import protocol
from petctfusion.worker.channel import Channel, Clock
from petctfusion.worker.exchange import Exchange, array_of_frame, read_array, unpack

if TYPE_CHECKING:
    from petctfusion.inference.model import AnyLoaded
    from petctfusion.inference.study import StudyProgress, StudyResult

# Two models of 20 MB cost nothing; a third one would be a comparison that no user waits for.
_WARM_MODELS = 2
_READ_BYTES = 1 << 20

Message = dict[str, Any]


def serve(protocol_fd: int, input_fd: int = 0) -> None:
    """Answer requests from `input_fd` on `protocol_fd` until `bye`; the end of the input ends the process at once."""
    server = Server(Channel(protocol_fd))
    threading.Thread(target=server.read, args=(input_fd,), name="requests", daemon=True).start()
    server.run()


@dataclass(frozen=True)
class Request:
    """One request as it came; every reader raises `BadInputError` naming what is missing."""

    id: int
    name: str
    fields: Message

    def text(self, name: str, default: str | None = None) -> str:
        """A text that is not empty."""
        value = self.fields.get(name, default)
        if not isinstance(value, str) or not value:
            raise BadInputError(f"The request {self.name} lacks {name!r}.", "Send it as a text.")
        return value

    def number(self, name: str) -> float:
        """A number."""
        value = self.fields.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise BadInputError(f"The request {self.name} lacks {name!r}.", "Send it as a number.")
        return value

    def objects(self, name: str) -> list[Message]:
        """A list of objects."""
        value = self.fields.get(name)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise BadInputError(f"The request {self.name} lacks {name!r}.", "Send it as a list of objects.")
        return value


class Server:
    """Requests in a queue, their frames beside it, and the models that were used last."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._queue: queue.Queue[Message] = queue.Queue()
        self._frames: dict[tuple[int, str], bytes] = {}
        self._cancelled: set[int] = set()
        self._waiting: set[int] = set()
        self._models: dict[tuple[Any, ...], AnyLoaded] = {}
        self._handlers: dict[str, Callable[[Request], Message]] = {
            "hello": self._hello,
            "probe": self._probe,
            "load": self._load,
            "segment": self._segment,
            "refine": self._refine,
            "explain": self._explain,
        }

    def read(self, input_fd: int) -> None:
        """The reading thread: sorts what comes, answers `cancel` itself, and dies with the client."""
        decoder = protocol.LineDecoder()
        while True:
            try:
                data = os.read(input_fd, _READ_BYTES)
            except OSError:
                data = b""
            if not data:
                # The client is gone, whatever is being computed.
                os._exit(0)
            for message in decoder.feed(data):
                self.accept(message)

    def accept(self, message: Message) -> None:
        """Takes one decoded message."""
        number, request = message.get("id"), message.get("request")
        if isinstance(number, bool) or not isinstance(number, int) or not isinstance(request, str):
            self.channel.fail(-1, BadInputError("A line is not a request.", "Send a JSON object with id and request."))
        elif "payload" in message:
            self._frames[number, str(message.get("name"))] = message["payload"]
        elif request == "cancel":
            target = message.get("target")
            is_known = target in self._waiting
            if is_known:
                self._cancelled.add(int(target))  # type: ignore[arg-type]
            self.channel.send(number, "result", request="cancel", cancelled=is_known)
        else:
            self._waiting.add(number)
            self._queue.put(message)

    def run(self) -> None:
        """The computing thread: `ready`, then one request after the other until `bye`."""
        self.channel.send(0, "ready", protocol=protocol.PROTOCOL_VERSION, pid=os.getpid())
        while True:
            message = self._queue.get()
            request = Request(int(message["id"]), str(message["request"]), message)
            if request.name == "bye":
                self.channel.send(request.id, "result", request="bye")
                return
            try:
                self._answer(request)
            finally:
                self._waiting.discard(request.id)
                self._cancelled.discard(request.id)
                for key in [key for key in list(self._frames) if key[0] == request.id]:
                    del self._frames[key]

    def _answer(self, request: Request) -> None:
        try:
            handler = self._handlers.get(request.name)
            if handler is None:
                known = ", ".join(protocol.REQUESTS)
                raise BadInputError(f"There is no request {request.name!r}.", f"Known requests: {known}.")
            if request.id in self._cancelled:
                raise CancelledError("The run was cancelled.")
            values = handler(request)
        except Exception as error:
            # The traceback is for the log; the user gets a sentence.
            traceback.print_exc(file=sys.stderr)
            self.channel.fail(request.id, _expected(error))
        else:
            self.channel.send(request.id, "result", request=request.name, **values)

    def _hello(self, request: Request) -> Message:
        import torch

        from petctfusion.inference.devices import has_fast_half, list_devices

        shares_disk = Exchange.visible(str(request.fields.get("exchange")), str(request.fields.get("secret")))
        return {
            "protocol": protocol.PROTOCOL_VERSION,
            "version": petctfusion.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "devices": [{**asdict(device), "half": has_fast_half(device.id)} for device in list_devices()],
            "transport": request.fields.get("transport") or ("files" if shares_disk else "frames"),
        }

    def _probe(self, _request: Request) -> Message:
        import torch

        from petctfusion.inference.probe import probe_devices

        return {"torch": torch.__version__, "verdicts": [asdict(verdict) for verdict in probe_devices()]}

    def _load(self, request: Request) -> Message:
        started = time.perf_counter()
        model, was_warm = self._model(request.text("model"), request.text("device", "auto"))
        return {
            "model": f"{model.card.name} {model.card.version}",
            "device": model.device,
            "was_warm": was_warm,
            "seconds": time.perf_counter() - started,
        }

    def _segment(self, request: Request) -> Message:
        return self._segmented(request, attention=False)

    def _explain(self, request: Request) -> Message:
        return self._segmented(request, attention=True)

    def _segmented(self, request: Request, attention: bool) -> Message:
        from petctfusion.inference.study import StudyProgress, segment_study

        started, clock = time.perf_counter(), Clock()

        def report(step: StudyProgress) -> None:
            eta_s = clock.eta_s(step.stage, step.done, step.total)
            note = {"note": step.note} if step.note else {}
            self.channel.send(
                request.id, "progress", done=step.done, total=step.total, stage=step.stage, eta_s=eta_s, **note
            )

        options = SegmentOptions.from_json(request.fields.get("options", {}))
        report(StudyProgress(0, 1, "load"))
        volumes = self._volumes(request)
        model, was_warm = self._model(request.text("model"), options.device or "auto")
        report(StudyProgress(1, 1, "load"))
        result = segment_study(
            volumes,
            model,
            replace(options, device=None),
            report,
            lambda: request.id in self._cancelled,
            attention=attention,
        )
        name = f"{model.card.name} {model.card.version}"
        images, maps = {"probability": result.probability, "labels": result.labels}, []
        for number, found in enumerate(_maps(result, name) if attention else ()):
            images[f"map-{number}"] = found.image
            maps.append({"image": f"map-{number}", "name": found.name, "kind": found.kind, "model": found.model})
        return {
            "images": self._shipped(request, **images),
            "maps": maps,
            "model": name,
            "members": [member.reference for member in model.card.members],
            "device": result.device,
            "notes": list(result.notes),
            "was_warm": was_warm,
            "seconds": time.perf_counter() - started,
        }

    def _refine(self, request: Request) -> Message:
        started = time.perf_counter()
        volumes = self._volumes(request)
        if not {"probability", "labels"} <= set(volumes):
            raise BadInputError("The request refine lacks the probability or the labels.", "Run Segment first.")
        clicks = [Click.from_json(click) for click in request.objects("clicks")]
        probability, labels = volumes.pop("probability"), volumes.pop("labels")
        value = int(request.number("value"))
        if "model" in request.fields:
            return self._guided(request, volumes, probability, labels, clicks, value)
        refined = refine_labels(probability, labels, clicks, request.number("threshold"), value)
        images = self._shipped(request, probability=probability, labels=refined)
        return {"images": images, "device": "cpu", "notes": [], "seconds": time.perf_counter() - started}

    def _guided(
        self,
        request: Request,
        volumes: dict[str, sitk.Image],
        probability: sitk.Image,
        labels: sitk.Image,
        clicks: list[Click],
        value: int,
    ) -> Message:
        """The answer of a network that takes clicks; any other model is refused."""
        from petctfusion.inference.guided import refine_guided
        from petctfusion.inference.model import LoadedModel

        started = time.perf_counter()
        model, was_warm = self._model(request.text("model"), request.text("device", "auto"))
        if not isinstance(model, LoadedModel) or model.card.clicks is None:
            raise BadInputError(f"The model {model.card.name} takes no clicks.", "Send the request without a model.")
        answer = refine_guided(volumes, model, labels, clicks, value, lambda: request.id in self._cancelled)
        return {
            "images": self._shipped(request, probability=probability, labels=answer.labels),
            "model": f"{model.card.name} {model.card.version}",
            "device": answer.device,
            "notes": list(answer.notes),
            "was_warm": was_warm,
            "seconds": time.perf_counter() - started,
        }

    def _model(self, wanted: str, device: str) -> tuple[AnyLoaded, bool]:
        """The model by name or folder on a device, and whether it was warm. Changed files are loaded again."""
        from petctfusion.inference.devices import plan_device
        from petctfusion.inference.model import load_model
        from petctfusion.models import find_model

        found = find_model(Path(wanted) if Path(wanted).is_dir() else wanted)
        stamps = tuple((str(file), file.stat().st_mtime_ns) for file in found.files)
        key = (str(found.folder), stamps, plan_device(device))
        model = self._models.pop(key, None)
        was_warm = model is not None
        if model is None:
            model = load_model(found.folder, key[2])
        self._models[key] = model
        while len(self._models) > _WARM_MODELS:
            del self._models[next(iter(self._models))]
        return model, was_warm

    def _volumes(self, request: Request) -> dict[str, sitk.Image]:
        descriptions = request.fields.get("volumes")
        if not isinstance(descriptions, dict) or not all(isinstance(d, dict) for d in descriptions.values()):
            raise BadInputError("The request holds no volumes.", "Send volumes with their descriptions.")
        volumes = {}
        for name, description in descriptions.items():
            if "file" in description:
                array = read_array(Path(str(description["file"])))
            elif (request.id, name) in self._frames:
                array = array_of_frame(self._frames[request.id, name], description)
            else:
                raise BadInputError(f"The values of {name} did not arrive.", "Start the run again.")
            volumes[name] = unpack(array, description)
        return volumes

    def _shipped(self, request: Request, **images: sitk.Image) -> Message:
        folder = request.fields.get("output")
        if folder is not None and not isinstance(folder, str):
            raise BadInputError("The output folder is not a text.", "Send a path.")
        return {name: self.channel.ship(request.id, name, image, folder) for name, image in images.items()}


def _maps(result: StudyResult, model: str) -> list[StudyMap]:
    """How unsure the result is, then what the networks attended to."""
    percent = sitk.ShiftScale(entropy_image(result.probability), 0, 100 / 255)
    return [StudyMap("uncertainty", "uncertainty", model, percent), *result.attention]


def _expected(error: Exception) -> FusionError:
    """Any error as one with a kind, a sentence and a hint."""
    if isinstance(error, FusionError):
        return error
    if is_out_of_memory(error):
        return OutOfMemoryError(
            "There is not enough memory for this study.", "Close other programs, or crop the volumes."
        )
    return WorkerError(
        f"The worker met an unexpected problem ({type(error).__name__}).", "Its log says more; please report it."
    )
