"""A Modbus device built on modbus_tk: registers 0 to 999, all 0; prints its port and serves until it is ended."""

from __future__ import annotations

import sys
import time

from modbus_tk import defines, modbus_tcp

if __name__ == "__main__":
    server = modbus_tcp.TcpServer(port=int(sys.argv[1]), address="127.0.0.1", timeout_in_sec=5)
    server.add_slave(1).add_block("all", defines.HOLDING_REGISTERS, 0, 1000)
    server.start()
    while not server._sockets:  # listening from then on
        time.sleep(0.01)
    print(server._sockets[0].getsockname()[1], flush=True)
    server._thread.join()
