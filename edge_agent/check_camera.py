"""Whether a station's camera gives a picture now, how large it is and how old."""

from __future__ import annotations

from pathlib import Path

from edge_agent.check_room import running_status
from edge_agent.config_inspection import CameraConfig
from edge_agent.finding import Finding
from models.errors import InputError
from protocols.errors import SunmaoError
from protocols.text import Text

LONGEST_S = 15.0
"""A video has to be opened first, and begins with its next key frame."""


async def check_camera(station: str, camera: CameraConfig, state_dir: Path) -> Finding:
    """Return what a picture of the camera says; needs the packages of sunmao-iiot[inference]."""
    from edge_agent.inspect.camera import camera_of  # noqa: PLC0415 - numpy and Pillow where they are used
    from models.vision.pictures import decode  # noqa: PLC0415

    subject = f"{station}/camera"
    try:
        if camera.kind == "usb" and running_status(state_dir) is not None:
            return Finding(
                subject,
                "look",
                Text(f"{camera.url} belongs to the agent, which runs", f"{camera.url} 正由运行中的代理使用"),
                Text("see the station's state, or stop the agent first", "请查看检测工位状态，或先停止代理"),
            )
        patient = camera.model_copy(update={"timeout_s": max(camera.timeout_s, LONGEST_S)})
        async with camera_of(patient)() as opened:
            shot = await opened.take(LONGEST_S)
        picture = decode(shot.content, camera.url)
    except SunmaoError as error:
        return Finding(subject, "wrong", error.what, error.mend or Text("", ""))
    except InputError as error:
        return Finding(subject, "wrong", Text(error.en, error.zh), Text("check the camera", "请检查相机"))
    size = f"{picture.width} x {picture.height}"
    return Finding(
        subject,
        "ok",
        Text(f"{size} pixels, {shot.age_s:.1f} s old", f"{size} 像素，{shot.age_s:.1f} 秒前拍摄"),
    )
