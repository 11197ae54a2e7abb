"""A Modbus device built on pyModbusTCP: all registers 0; prints its port and serves until it is ended."""

from __future__ import annotations

import sys
import threading

from pyModbusTCP.server import ModbusServer

if __name__ == "__main__":
    server = ModbusServer("127.0.0.1", int(sys.argv[1]), no_block=True)
    server.start()
    print(server._service.server_address[1], flush=True)
    threading.Event().wait()
