"""GStreamer's RTSP server as a camera at rtsp://127.0.0.1/stream, run by the system's Python: PORT USER PASSWORD.

Pictures in H.264 come by stdin, each behind its length in four bytes; whoever plays the stream gets them at once. Prints
the port as JSON. It ends with its stdin.
"""

import json
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

PIPELINE = (
    "( appsrc name=pictures is-live=true do-timestamp=true format=time"
    " caps=video/x-h264,stream-format=byte-stream,alignment=au ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
)


def main(port: str, user: str, password: str) -> None:
    Gst.init(None)
    playing: list[Gst.Element] = []

    def configured(_: object, media: GstRtspServer.RTSPMedia) -> None:
        source = media.get_element().get_by_name_recurse_up("pictures")
        media.connect("unprepared", lambda _: source in playing and playing.remove(source))
        playing.append(source)

    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(PIPELINE)
    factory.set_shared(True)
    factory.connect("media-configure", configured)
    allowed = GstRtspServer.RTSPPermissions()
    for right in ("access", "construct"):
        allowed.add_permission_for_role("viewer", f"media.factory.{right}", True)
    factory.set_permissions(allowed)

    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    door = GstRtspServer.RTSPAuth()
    door.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    door.add_digest(user, password, token)

    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    server.set_auth(door)
    server.get_mount_points().add_factory("/stream", factory)
    server.attach(None)
    print(json.dumps({"port": server.get_bound_port()}), flush=True)

    loop = GLib.MainLoop()

    def pass_on() -> None:
        while head := sys.stdin.buffer.read(4):
            picture = sys.stdin.buffer.read(int.from_bytes(head, "big"))
            for source in list(playing):
                source.emit("push-buffer", Gst.Buffer.new_wrapped(picture))
        loop.quit()

    threading.Thread(target=pass_on, daemon=True).start()
    loop.run()


main(*sys.argv[1:])
