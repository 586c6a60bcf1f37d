"""Body-weight SUV from the tags of a DICOM PET series.

SUVbw (g/ml) = activity concentration (Bq/ml) x weight (g) / dose (Bq), the dose decayed to the time to which the image
was corrected. Rules: QIBA FDG-PET/CT Profile, appendix on SUV from DICOM; PS3.3 C.8.9.1 (PET Series: Units, Decay
Correction) and C.8.9.2 (PET Isotope). Nothing is guessed: a missing tag refuses the series by name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydicom.dataset import Dataset

from petctfusion.errors import BadInputError

_LEAST_DOSE_BQ = 1e4
_MOST_DOSE_BQ = 1e11
_MOST_HALF_LIVES = 12.0
_HINT = "Correct the tag from the scan record, or give a PET that is in SUV already."
_GE_SCAN_TIME = ("GEMS_PETD_01", 0x0009, 0x0D)
_PHILIPS_SUV = ("Philips PET Private Group", 0x7053, 0x00)
_PHILIPS_BQML = ("Philips PET Private Group", 0x7053, 0x09)
_NOT_BODY_WEIGHT = {
    "LBM": "lean body mass",
    "LBMJAMES128": "lean body mass",
    "LBMJANMA": "lean body mass",
    "BSA": "body surface area",
    "IBW": "ideal body weight",
}


@dataclass(frozen=True)
class SuvFactor:
    """SUVbw per unit of the rescaled image values, with the tags that say so."""

    factor: float
    evidence: str


def suv_factor(headers: Sequence[Dataset], name: str = "The PET series") -> SuvFactor:
    """The factor for a PET series of which `headers` are all slices. Raises `BadInputError` naming what is missing."""
    units = _text(_same(headers, "Units", name)).upper()
    if units == "GML":
        return _from_gml(headers, name)
    if units == "BQML":
        factor = _from_activity(headers, name)
        return SuvFactor(factor.factor, f"BQML, {factor.evidence}")
    if units == "CNTS":
        return _from_philips_counts(headers, name)
    if not units:
        raise BadInputError(f"{name} lacks the Units tag (0054,1001).", _HINT)
    raise BadInputError(f"{name} is in units {units}, from which SUV cannot be computed.", _HINT)


def _from_gml(headers: Sequence[Dataset], name: str) -> SuvFactor:
    kind = _text(_same(headers, "SUVType", name)).upper()
    if kind in ("", "BW"):
        return SuvFactor(1.0, "GML, SUVType BW" if kind else "GML")
    meaning = _NOT_BODY_WEIGHT.get(kind, "another normalisation than body weight")
    raise BadInputError(f"{name} is in SUV by {meaning} (SUVType {kind}), not by body weight.", _HINT)


def _from_philips_counts(headers: Sequence[Dataset], name: str) -> SuvFactor:
    """Philips: (7053,1000) is SUV per count; else (7053,1009) is Bq/ml per count."""
    suv = _private_factor(headers, _PHILIPS_SUV, name)
    if suv is not None:
        return SuvFactor(suv, "CNTS, Philips SUV factor (7053,1000)")
    activity = _private_factor(headers, _PHILIPS_BQML, name)
    if activity is None:
        raise BadInputError(
            f"{name} is in counts (CNTS) without the Philips factors (7053,1000) and (7053,1009).",
            "Export the series from the scanner with its private tags.",
        )
    rest = _from_activity(headers, name)
    return SuvFactor(activity * rest.factor, f"CNTS, Philips activity factor (7053,1009), {rest.evidence}")


def _from_activity(headers: Sequence[Dataset], name: str) -> SuvFactor:
    """SUV per Bq/ml: weight / dose, the dose decayed when the image was corrected to the start of the scan."""
    correction = _text(_same(headers, "DecayCorrection", name)).upper()
    if correction not in ("START", "ADMIN"):
        state = (
            "was not decay corrected (Decay Correction NONE)"
            if correction == "NONE"
            else (f"has Decay Correction {correction}" if correction else "lacks the Decay Correction tag (0054,1102)")
        )
        raise BadInputError(f"{name} {state}, so SUV cannot be computed.", "Reconstruct it with decay correction.")
    corrected = [_text(v).upper() for v in (headers[0].get("CorrectedImage") or [])]
    if corrected and "DECY" not in corrected:
        raise BadInputError(
            f"{name} says it is not decay corrected (Corrected Image without DECY), so SUV cannot be computed.",
            "Reconstruct it with decay correction.",
        )
    weight_g = 1000 * _positive(_same(headers, "PatientWeight", name), "Patient's Weight (0010,1030)", name)
    isotope = _isotope(headers, name)
    dose = _positive(isotope.get("RadionuclideTotalDose"), "Radionuclide Total Dose (0018,1074)", name)
    if not _LEAST_DOSE_BQ <= dose <= _MOST_DOSE_BQ:
        likely = " (it looks like MBq)" if 1 <= dose < _LEAST_DOSE_BQ else ""
        raise BadInputError(
            f"{name} states an implausible Radionuclide Total Dose (0018,1074) of {dose:g} Bq{likely}.", _HINT
        )
    if correction == "ADMIN":
        return SuvFactor(weight_g / dose, "ADMIN")
    half_life = _positive(isotope.get("RadionuclideHalfLife"), "Radionuclide Half Life (0018,1075)", name)
    elapsed, remark = _elapsed_s(headers, isotope, name)
    if elapsed > _MOST_HALF_LIVES * half_life:
        raise BadInputError(
            f"{name} starts {elapsed / 3600:.1f} h after the injection, {elapsed / half_life:.0f} half-lives: "
            "one of the times is wrong.",
            _HINT,
        )
    left = dose * math.exp(-math.log(2) * elapsed / half_life)
    return SuvFactor(weight_g / left, f"START{remark}")


def _elapsed_s(headers: Sequence[Dataset], isotope: Dataset, name: str) -> tuple[float, str]:
    """Seconds from injection to the time to which the image is decay corrected, and a remark for the evidence."""
    scan, remark = _scan_start(headers, name)
    full = parse_datetime(_text(isotope.get("RadiopharmaceuticalStartDateTime")))
    clock = _text(isotope.get("RadiopharmaceuticalStartTime"))
    if full is not None:
        if full <= scan:
            return (scan - full).total_seconds(), remark
        # De-identified sets shift dates apart (STS_002 of the Soft-tissue-Sarcoma collection is injected a day "late").
        clock = clock or full.strftime("%H%M%S.%f")
        remark += ", injection date ignored as it lies after the scan"
    if not clock:
        raise BadInputError(f"{name} lacks the injection time, Radiopharmaceutical Start DateTime (0018,1078).", _HINT)
    injected = parse_datetime(scan.strftime("%Y%m%d") + clock)
    if injected is None:
        raise BadInputError(f"{name} has an unreadable Radiopharmaceutical Start Time (0018,1072): {clock!r}.", _HINT)
    if injected > scan:
        injected -= timedelta(days=1)
        remark += ", injected the day before"
    return (scan - injected).total_seconds(), remark


def _scan_start(headers: Sequence[Dataset], name: str) -> tuple[datetime, str]:
    """GE's own scan time; else the series time unless post-processing moved it behind the earliest acquisition."""
    private = parse_datetime(_text(_private(headers[0], _GE_SCAN_TIME)))
    if private is not None:
        return private, ", GE scan time (0009,100D)"
    series = _moment(headers[0], "Series")
    acquired = [m for m in (_moment(h, "Acquisition") for h in headers) if m is not None]
    earliest = min(acquired, default=None)
    if series is not None and (earliest is None or series <= earliest):
        return series, ""
    if earliest is not None:
        return earliest, ", earliest acquisition time"
    raise BadInputError(f"{name} lacks both Series Time (0008,0031) and Acquisition Time (0008,0032).", _HINT)


def _moment(header: Dataset, which: str) -> datetime | None:
    """Date and time of a header; where de-identification removed every date, any day serves: the clock still counts."""
    dates = (_text(header.get(f"{name}Date")) for name in (which, "Series", "Study"))
    date = next((d.replace(".", "") for d in dates if d), "20000101")
    time = _text(header.get(f"{which}Time"))
    return parse_datetime(date + time) if time else None


def parse_datetime(text: str) -> datetime | None:
    """A DICOM DT, or DA followed by TM, without its time zone; None when it is not one."""
    digits = text.strip().split("+")[0].split("-")[0].replace(":", "")
    whole, _, fraction = digits.partition(".")
    if len(whole) < 10 or not whole.isdigit() or (fraction and not fraction.isdigit()):
        return None
    try:
        moment = datetime.strptime(whole[:14].ljust(14, "0"), "%Y%m%d%H%M%S")
    except ValueError:
        return None
    return moment + timedelta(seconds=float(f"0.{fraction or 0}"))


def _isotope(headers: Sequence[Dataset], name: str) -> Dataset:
    items = headers[0].get("RadiopharmaceuticalInformationSequence")
    if not items:
        raise BadInputError(f"{name} lacks the Radiopharmaceutical Information Sequence (0054,0016).", _HINT)
    isotope: Dataset = items[0]
    return isotope


def _same(headers: Sequence[Dataset], keyword: str, name: str) -> Any:
    """The value of a tag that all slices must share."""
    value = headers[0].get(keyword)
    if any(_text(h.get(keyword)) != _text(value) for h in headers):
        raise BadInputError(f"The slices of {name} disagree about {keyword}.", "Export one series only.")
    return value


def _positive(value: Any, tag: str, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if math.isfinite(number) and number > 0:
        return number
    state = "lacks" if value is None or _text(value) == "" else f"has {_text(value)} as"
    raise BadInputError(f"{name} {state} {tag}, without which SUV cannot be computed; it is not guessed.", _HINT)


def _private(header: Dataset, where: tuple[str, int, int]) -> Any:
    """A private element by its creator; de-identification often drops the creator, then by its usual block 0x10."""
    creator, group, element = where
    try:
        return header.private_block(group, creator)[element].value
    except KeyError:
        found = header.get((group, 0x1000 + element))
        return None if found is None else found.value


def _private_factor(headers: Sequence[Dataset], where: tuple[str, int, int], name: str) -> float | None:
    try:
        values = {float(_text(_private(header, where))) for header in headers}
    except ValueError:
        return None
    if len(values) > 1:
        raise BadInputError(f"The slices of {name} disagree about the factor ({where[1]:04X},10{where[2]:02X}).", _HINT)
    value = values.pop()
    return value if math.isfinite(value) and value > 0 else None


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        value = value.decode("ascii", "ignore")
    return str(value).strip(" \0")
