"""The pinhole camera of the field's renders (35 mm on a 32 mm sensor) and the views that it takes of a shape.

World: ShapeNet's frame, +y up, front towards -z. The camera looks at the origin; azimuth 0 sees the front of
the object, 90 its own right side (+x), 180 its back. A shift moves the object, not the camera.
Image: x to the right, y down, in pixels; the centre of the first pixel is (0.5, 0.5).
"""

import re
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

LENS_MM = 35
SENSOR_MM = 32
FIELD_OF_VIEW = float(np.degrees(2 * np.arctan(SENSOR_MM / 2 / LENS_MM)))  # 49.13 degrees, both ways
REFERENCE_DISTANCE = 1.75  # ShapeNet units; the distributions scale it
SIZE = 224  # pixels, what the encoder takes
BRACKETED = re.compile(r"\s*\[([^\[\]]*)\]\s*,?\s*")  # a line of the authors' metadata


@dataclass(frozen=True)
class Camera:
    """One view. Angles in degrees, lengths in ShapeNet units (an object's bounding box has diagonal 1).

    `roll` turns the camera counter-clockwise about its axis, so that the picture turns clockwise. Points and
    rays are in the object's own frame: the shift is the camera's affair, and the mesh stays where it is.
    """

    azimuth: float | int
    elevation: float | int
    distance: float | int
    roll: float | int = 0.0
    shift: tuple[float | int, float | int, float | int] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        values = (self.azimuth, self.elevation, self.distance, self.roll, *self.shift)
        if not np.isfinite(values).all():
            raise ValueError(f"a camera needs finite numbers, not {values}")
        if self.distance <= 0:
            raise ValueError(f"a camera's distance must be above 0, not {self.distance}")

    @property
    def axes(self) -> Float[np.ndarray, "3 3"]:
        """Unit vectors, one a row: right and up in the image, and back, from the origin to the camera."""
        azimuth, elevation, roll = np.radians([self.azimuth, self.elevation, self.roll])
        sin_a, cos_a, sin_e, cos_e = np.sin(azimuth), np.cos(azimuth), np.sin(elevation), np.cos(elevation)
        right = np.array([-cos_a, 0.0, -sin_a])
        up = np.array([-sin_e * sin_a, cos_e, sin_e * cos_a])
        back = np.array([cos_e * sin_a, sin_e, -cos_e * cos_a])
        turned = np.cos(roll) * right + np.sin(roll) * up
        return np.stack([turned, np.cross(back, turned), back])

    @property
    def origin(self) -> Float[np.ndarray, " 3"]:
        """Where the camera stands, seen from the object: against its shift."""
        return self.distance * self.axes[2] - np.array(self.shift, dtype=float)

    def project(
        self, points: Float[np.ndarray, "n 3"], size: int = SIZE
    ) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, " n"]]:
        """Where points of the object appear in the image, and how deep along the camera's axis.

        Args:
            points: In the object's frame.
            size: Width and height of the image in pixels.

        Returns:
            Pixel coordinates (x, y), which may lie outside the image, and depths in ShapeNet units.
            A point that is not in front of the camera has depth <= 0 and pixel coordinates NaN.
        """
        x, y, z = self.axes @ (points - self.origin).T
        depth = -z
        focal = focal_pixels(size)
        safe = np.where(depth > 0, depth, np.nan)
        return np.stack([size / 2 + focal * x / safe, size / 2 - focal * y / safe], axis=1), depth

    def directions(self, pixels: Float[np.ndarray, "n 2"], size: int = SIZE) -> Float[np.ndarray, "n 3"]:
        """Unit vectors from `origin` through image positions (x, y): the inverse of `project`."""
        right, up, back = self.axes
        focal = focal_pixels(size)
        x, y = (pixels[:, :1] - size / 2) / focal, (size / 2 - pixels[:, 1:]) / focal
        return (x * right + y * up - back) / np.sqrt(x**2 + y**2 + 1)

    def rays(self, size: int = SIZE, samples: int = 1) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
        """Origins and unit directions of samples x samples rays a pixel, in the object's frame.

        The pixels follow each other row by row, the rays of one pixel stand together.
        """
        y, x = np.mgrid[:size, :size]
        pixels = np.stack([x, y], axis=-1)[:, :, None] + subpixels(samples)
        directions = self.directions(pixels.reshape(-1, 2), size)
        return np.broadcast_to(self.origin, directions.shape), directions

    def to_metadata(self) -> str:
        """The line of `rendering_metadata.txt`: az el roll dist lens sensor 1.75 dx dy dz.

        The shift is in this module's world frame; every number survives the round trip exactly.
        """
        angles = (self.azimuth, self.elevation, self.roll, self.distance)
        numbers = (*angles, LENS_MM, SENSOR_MM, REFERENCE_DISTANCE, *self.shift)
        return " ".join(repr(number + 0) for number in map(float, numbers))

    @classmethod
    def from_metadata(cls, line: str) -> "Camera":
        """The camera of a line that `to_metadata` wrote, or that the authors' script for Blender did.

        Theirs stands in brackets with commas, `[13.48,20.19,0,0.70,35,32,1.75,0.0,0.0,0.0], `, and means: azimuth 0
        sees the object's own right side (+x), the distance is a share of the 1.75, and the shift is along Blender's
        axes, which are our x, -z and y.

        Raises:
            ValueError: Not ten numbers in one of the two forms, or another lens or sensor than this camera's.
        """
        in_brackets = BRACKETED.fullmatch(line)
        try:
            numbers = map(float, in_brackets[1].split(",") if in_brackets else line.split())
            azimuth, elevation, roll, distance, lens, sensor, reference, *shift = numbers
            dx, dy, dz = shift
        except ValueError as error:
            raise ValueError(
                "a line of camera metadata has ten numbers (az el roll dist lens sensor 1.75 dx dy dz), "
                f"with spaces between or in brackets with commas: {line!r}"
            ) from error
        if (lens, sensor) != (LENS_MM, SENSOR_MM):
            raise ValueError(
                f"a {lens:g} mm lens on a {sensor:g} mm sensor is another camera than "
                f"{LENS_MM} mm on {SENSOR_MM} mm; render these views again"
            )
        if not in_brackets:
            return cls(azimuth, elevation, distance, roll, (dx, dy, dz))
        if roll:
            raise ValueError(f"the authors' script never rolls a camera, and this one has {roll:g} degrees: {line!r}")
        return cls((azimuth + 90) % 360, elevation, distance * reference, 0.0, (dx, dz, -dy))


FIXED = Camera(azimuth=324.0, elevation=25.0, distance=0.8 * REFERENCE_DISTANCE)  # "fix": front three-quarter
POSTER = Camera(azimuth=324.0, elevation=22.0, distance=1.25)  # a ball of diameter 1 just fits from 1.203 on


def focal_pixels(size: int) -> float:
    """Focal length in pixels of an image so many pixels wide."""
    check_size(size)
    return size * LENS_MM / SENSOR_MM


def check_size(size: int) -> None:
    """Refuses an image without pixels."""
    if size < 1:
        raise ValueError(f"an image needs at least one pixel a side, not {size}")


def subpixels(samples: int) -> Float[np.ndarray, "n 2"]:
    """Positions of samples x samples rays within a pixel, each in a row and a column of its own.

    The rotated grid: an edge that is nearly upright or level gets samples^2 grades of cover, not `samples`.
    """
    if samples < 1:
        raise ValueError(f"a pixel needs at least one sample a side, not {samples}")
    row, column = np.divmod(np.arange(samples**2), samples)
    x = column + (row + 0.5) / samples
    y = row + (samples - column - 0.5) / samples
    return np.stack([x, y], axis=1) / samples


def easy_camera(index: int, rng: np.random.Generator) -> Camera:
    """View `index` of the 50 easy ones: around the object, from a little above, never shifted."""
    return Camera(
        azimuth=_azimuth(index, rng),
        elevation=rng.uniform(20, 30),
        distance=REFERENCE_DISTANCE * rng.uniform(0.65, 1.0),
    )


def hard_camera(index: int, vertices: Float[np.ndarray, "n 3"], rng: np.random.Generator) -> Camera:
    """View `index` of the 50 hard ones: any elevation to 45 degrees, near or far, the object off the centre.

    Where the object touches the border of the image, the view is drawn again: from the same ranges
    up to the fifth rejection, then from farther away and with a smaller shift.

    Args:
        index: Sets the azimuth, 7.2 degrees a step.
        vertices: The object's, in ShapeNet units; those of its convex hull decide as well, and faster.
        rng: The randomness.

    Raises:
        ValueError: The object does not fit the image, because it is larger than ShapeNet's units allow.

    Source: the ranges of the authors' renders.
    """
    for attempt in range(100):
        reach, near, far = (0.2, 0.60, 1.0) if attempt < 5 else (0.1, 0.75, 1.10)
        camera = Camera(
            azimuth=_azimuth(index, rng),
            elevation=rng.uniform(0, 45),
            distance=REFERENCE_DISTANCE * rng.uniform(near, far),
            shift=tuple(rng.uniform(-reach, reach, size=3).tolist()),
        )
        if is_inside(camera, vertices):
            return camera
    diagonal = np.linalg.norm(np.ptp(vertices, axis=0))
    raise ValueError(
        f"an object with a bounding-box diagonal of {diagonal:.3g} does not fit the views; "
        "centre it at the origin and scale the diagonal to 1"
    )


def is_inside(camera: Camera, vertices: Float[np.ndarray, "n 3"]) -> bool:
    """Whether an object stays clear of the outermost ring of pixels of a 224 x 224 view."""
    pixels, _ = camera.project(vertices, SIZE)
    return bool(np.all((pixels > 1) & (pixels < SIZE - 1)))  # a point behind the camera is NaN, so not inside


def _azimuth(index: int, rng: np.random.Generator) -> float:
    return (7.2 * (index + 1) + rng.uniform(-5, 5)) % 360
