"""A connection that is lost at the worst timestamp: when what was sent is done, and before the answer is here."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Cutter:
    """Passes bytes between a client and a server on 127.0.0.1, until it is to cut.

    Args:
        port: the server's.
    """

    def __init__(self, port: int) -> None:
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        #: Where it listens.
        self.port: int = self._listener.getsockname()[1]
        #: After the answer to the next message from a client that holds these bytes, both are cut off; then none is.
        self.cut_after: bytes | None = None
        self._clients: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more clients."""
        self._listener.close()

    def cut(self) -> None:
        """Cut off all clients now. The server does not notice, and goes on with what it was sent."""
        for client in self._clients:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._clients.append(client)
                server = socket.create_connection(("127.0.0.1", self._server))
                cutting = threading.Event()
                for target, ends in ((self._send, (client, server)), (self._answer, (server, client))):
                    threading.Thread(target=target, args=[*ends, cutting], daemon=True).start()

    def _send(self, client: socket.socket, server: socket.socket, cutting: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(1 << 16):
                if self.cut_after is not None and self.cut_after in data:
                    self.cut_after = None
                    cutting.set()
                server.sendall(data)
        server.close()

    def _answer(self, server: socket.socket, client: socket.socket, cutting: threading.Event) -> None:
        with suppress(OSError):
            while (data := server.recv(1 << 16)) and not cutting.is_set():
                client.sendall(data)
        for end in (server, client):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
