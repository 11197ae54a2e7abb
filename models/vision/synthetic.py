"""Pictures of a moulded part as a camera above a fixture sees it, good and with planted defects.

The part is a height field - a round, ribbed cap with a recess, spokes, a gate mark and a raised arrow - shaded by a
light whose direction, strength and gradient vary from shot to shot, as do the part's place, turn, texture and the
sensor's noise. A picture depends on (seed, part, defect) alone; the same part with and without a defect differs in the
defect only, so that a mask is exact.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

Defect = Literal["scratch", "short_shot", "black_spot", "burn_mark", "flash", "sink_mark"]
DEFECTS: tuple[Defect, ...] = get_args(Defect)

SIDE = 256
RADIUS = 96.0
RIBS = 48

Plane = npt.NDArray[np.float64]


class Picture(NamedTuple):
    """A grey picture (uint8, 256 x 256) and where its defect lies (bool, same shape; all false when there is none)."""

    grey: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_]


class _Pose(NamedTuple):
    """Each pixel in the part's own frame: x, y, radius and angle, in pixels and radians."""

    x: Plane
    y: Plane
    radius: Plane
    angle: Plane


def picture(seed: int, part: int, defect: Defect | None = None) -> Picture:
    """Return the picture of part number `part` of the series `seed`, with `defect` planted if given."""
    shot = np.random.default_rng([seed, part, 0])
    pose = _pose(shot)
    height, presence = _cap(pose)
    stain = np.zeros_like(height)
    mask = np.zeros(height.shape, dtype=bool)
    if defect is not None:
        flaw = np.random.default_rng([seed, part, 1 + DEFECTS.index(defect)])
        height, presence, stain, mask = _plant(defect, flaw, pose, height, presence)
    return Picture(_expose(shot, height, presence, stain), mask)


def _pose(shot: np.random.Generator) -> _Pose:
    """Place the part in its fixture: within +-2.5 pixels and +-1.5 degrees."""
    left, down = shot.uniform(-2.5, 2.5, 2)
    turn = np.radians(shot.uniform(-1.5, 1.5))
    row, column = np.mgrid[0:SIDE, 0:SIDE].astype(np.float64)
    across, along = column - SIDE / 2 - left, row - SIDE / 2 - down
    x = across * np.cos(turn) + along * np.sin(turn)
    y = along * np.cos(turn) - across * np.sin(turn)
    return _Pose(x, y, np.hypot(x, y), np.arctan2(y, x))


def _cap(pose: _Pose) -> tuple[Plane, Plane]:
    """Return the good part's height in pixels and its presence (1 on the part, 0 beside it)."""
    edge = RADIUS + 2.2 * np.tanh(4 * np.cos(RIBS * pose.angle))
    presence = _inside(edge - pose.radius)
    height = 7 * _inside((edge - pose.radius) / 2.5)
    height -= 4 * _inside((70 - pose.radius) / 1.6)
    for spoke in range(3):
        direction = np.pi / 2 + spoke * 2 * np.pi / 3
        offset = np.abs(-pose.x * np.sin(direction) + pose.y * np.cos(direction))
        ahead = pose.x * np.cos(direction) + pose.y * np.sin(direction) > 0
        reach = _inside((66 - pose.radius) / 2) * _inside((pose.radius - 20) / 2)
        height += 2.2 * _inside((4.5 - offset) / 1.3) * ahead * reach
    height += 3 * _inside((22 - pose.radius) / 1.6) - 2 * _inside((7 - pose.radius) / 1.2)
    shaft = _inside((3 - np.abs(pose.y - 46)) / 1.1) * _inside((12 - np.abs(pose.x + 4)) / 1.1)
    head = _inside((8 - np.abs(pose.y - 46) - (pose.x - 8)) / 1.4) * _inside((pose.x - 7) / 1.1)
    height += 1.2 * np.maximum(shaft, head) * _inside((66 - pose.radius) / 2)
    return height, presence


def _plant(
    defect: Defect, flaw: np.random.Generator, pose: _Pose, height: Plane, presence: Plane
) -> tuple[Plane, Plane, Plane, npt.NDArray[np.bool_]]:
    """Return height, presence, stain (darkening 0..1, whitening below 0) and mask with the defect in place."""
    stain = np.zeros_like(height)
    where = flaw.uniform(-np.pi, np.pi)
    away = flaw.uniform(28, 60)
    x, y = away * np.cos(where), away * np.sin(where)
    if defect == "scratch":
        depth = _scratch(flaw, pose, x, y)
        # Plastic turns white where it is stretched, so a groove along the light still shows.
        return height - flaw.uniform(1.6, 2.4) * depth, presence, -flaw.uniform(0.3, 0.45) * depth, depth > 0.3
    if defect == "black_spot":
        spot = _inside((flaw.uniform(3, 5) - np.hypot(pose.x - x, (pose.y - y) * flaw.uniform(0.8, 1.2))) / 0.9)
        return height, presence, flaw.uniform(0.6, 0.85) * spot, spot > 0.3
    if defect == "burn_mark":  # where the flow front ends: at the rim, with a ragged, sooty edge
        near = np.hypot(pose.x - 84 * np.cos(where), pose.y - 84 * np.sin(where))
        ragged = flaw.uniform(7, 11) + 2 * np.sin(5 * pose.angle * flaw.integers(4, 9))
        soot = _inside((ragged - near) / 6) * presence
        return height, presence, flaw.uniform(0.5, 0.75) * soot, soot > 0.3
    if defect == "sink_mark":
        width = flaw.uniform(7, 10)
        dent = np.exp(-((pose.x - x) ** 2 + (pose.y - y) ** 2) / (2 * width**2))
        return height - flaw.uniform(4.5, 6) * dent, presence, stain, dent > 0.3
    if defect == "short_shot":
        bite = flaw.uniform(12, 20)
        gone = _inside(bite - np.hypot(pose.x - 95 * np.cos(where), pose.y - 95 * np.sin(where)))
        return height * (1 - gone), presence * (1 - gone), stain, (gone * presence) > 0.3
    turn = np.abs(np.angle(np.exp(1j * (pose.angle - where))))
    rim = RADIUS + 2 + flaw.uniform(6, 10) * np.clip(1 - (turn / flaw.uniform(0.16, 0.3)) ** 2, 0, None)
    film = _inside(rim - pose.radius) * (1 - presence) * (rim > RADIUS + 2.5)
    return height + 1.5 * film, np.maximum(presence, 0.85 * film), stain, film > 0.3


def _scratch(flaw: np.random.Generator, pose: _Pose, x: float, y: float) -> Plane:
    """Return the groove's depth profile 0..1: a slightly bent line through (x, y)."""
    heading, length = flaw.uniform(0, np.pi), flaw.uniform(30, 55)
    along = (pose.x - x) * np.cos(heading) + (pose.y - y) * np.sin(heading)
    across = -(pose.x - x) * np.sin(heading) + (pose.y - y) * np.cos(heading) - flaw.uniform(-0.004, 0.004) * along**2
    groove: Plane = np.exp(-(across**2) / (2 * flaw.uniform(0.9, 1.3) ** 2)) * _inside((length / 2 - np.abs(along)) / 2)
    return groove


def _expose(shot: np.random.Generator, height: Plane, presence: Plane, stain: Plane) -> npt.NDArray[np.uint8]:
    """Light the height field, lay it on the fixture, add lens and sensor."""
    height = height + 0.16 * _grain(shot, 1.2) + 0.25 * _grain(shot, 6.0)
    slope_y, slope_x = np.gradient(height)
    compass, steep = np.radians(shot.normal(225, 5)), np.radians(shot.normal(52, 2))
    light = (np.cos(compass) * np.cos(steep), np.sin(compass) * np.cos(steep), np.sin(steep))
    facing = (-slope_x * light[0] - slope_y * light[1] + light[2]) / np.sqrt(1 + slope_x**2 + slope_y**2)
    plastic = 0.12 + 0.55 * np.clip(facing, 0, None) + 0.22 * np.clip(facing, 0, None) ** 24
    fixture = 0.17 + 0.015 * _grain(shot, 2.0)
    scene = fixture * (1 - presence) + plastic * presence * shot.normal(1, 0.03)
    scene *= 1 - stain
    row, column = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    tilt = shot.normal(0, 0.03, 2)
    scene *= (1 + tilt[0] * row + tilt[1] * column) * (1 - 0.08 * (row**2 + column**2)) * shot.normal(1, 0.05)
    scene = _blur(scene, shot.uniform(0.6, 0.8))
    noise = shot.normal(0, 1, scene.shape) * np.sqrt(0.004**2 + 0.00012 * np.clip(scene, 0, 1))
    return (np.clip(scene + noise, 0, 1) * 255 + 0.5).astype(np.uint8)


def _inside(distance: Plane) -> Plane:
    """Return a smooth step, 0 below -1/2 and 1 above 1/2: an edge that a pixel sees in part."""
    inside: Plane = np.clip(distance + 0.5, 0, 1)
    return inside


def _grain(shot: np.random.Generator, width: float) -> Plane:
    """Return blurred white noise with unit variance."""
    grain = _blur(shot.normal(0, 1, (SIDE, SIDE)), width)
    grain /= grain.std()
    return grain


def _blur(plane: Plane, width: float) -> Plane:
    """Return `plane` convolved with a Gaussian of standard deviation `width` pixels, edges wrapped."""
    rows, columns = np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)
    gain = np.exp(-2 * (np.pi * width) ** 2 * (rows**2 + columns**2))
    blurred: Plane = np.fft.irfft2(np.fft.rfft2(plane) * gain, plane.shape)
    return blurred
