"""A connection that is lost at the worst timestamp: when what was sent is done, and before the answer is here."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from chronos_storage import Storage
from chronos_storage.records import Event, MemoryRecord, Session


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


def check_nothing_doubles(storage: Storage, cutter: Cutter, message: bytes) -> None:
    """Lose the answer to the next message of a kind within each of some calls, which are made again by themselves."""
    for call in (
        lambda: storage.create_session(Session(id="s")),
        lambda: storage.append_events([Event(session_id="s"), Event(session_id="s")]),
        lambda: storage.put_memory(MemoryRecord(agent_id="a", kind="k", key="k", value=1)),
        lambda: storage.delete_memory("m"),
    ):
        cutter.cut_after = message
        call()
        storage.list_events("s")
        cutter.cut_after = None
    assert [event.seq_num for event in storage.list_events("s")] == [1, 2]
    assert storage.verify_events("s").intact
    assert len(storage.list_memory("a")) == 1
