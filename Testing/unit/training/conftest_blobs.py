"""Three blob cases, importable by a spawned process too."""

import numpy as np

from petctfusion.training.cases import Case


def blob_case(name: str, centre: tuple[int, int, int], radius: float = 4.0, shape=(20, 18, 22)) -> Case:
    z, y, x = np.ogrid[tuple(slice(n) for n in shape)]
    inside = ((z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 <= radius**2).astype(np.float32)
    image = np.stack([40.0 + 20 * inside, 0.8 + 6 * inside]).astype(np.float32)
    return Case(name, image, inside, np.argwhere(inside > 0.5), (4.0, 4.0, 4.0))


def blob_cases() -> list[Case]:
    return [blob_case("a", (9, 8, 12)), blob_case("b", (10, 9, 10), 5.0), blob_case("c", (7, 7, 7), 3.0)]
