"""Messages between a process and its forks: arrays through shared memory, everything else through a socket.

A message is any Python object that can be pickled. Pickle (protocol 5) hands the arrays in it over as they lie in
memory; they are copied once, into memory that both processes see, and the receiver reads them there. The socket
carries the small rest and wakes the other side; and it tells at once when the other process has ended, however it did.
"""

from __future__ import annotations

import mmap
import os
import pickle
import select
import socket
import struct
import time
from typing import Any

from .shared import aligned

PATIENCE = 1e-3
"""Seconds in which a receiver asks again and again before it sleeps: to be woken takes up to 50 microseconds, and
shards that meet rarely wait longer than that for each other."""

HEAD = struct.Struct("<Q")


class Mailbox:
    """Memory that two processes share; it grows as its messages do.

    Examples
    --------
    >>> box = Mailbox()
    >>> sizes = box.put([memoryview(b"abc"), memoryview(b"de")])
    >>> [bytes(part) for part in box.get(sizes)]
    [b'abc', b'de']
    >>> box.close()
    """

    def __init__(self) -> None:
        self._file = os.memfd_create("cnn-mailbox")
        self._memory: mmap.mmap | None = None

    def put(self, parts: list[memoryview]) -> list[int]:
        """Copy the parts in, one behind the other; their sizes."""
        sizes = [part.nbytes for part in parts]
        memory = self._mapped(sum(map(aligned, sizes)))
        start = 0
        for part, size in zip(parts, sizes, strict=True):
            memory[start : start + size] = part
            start += aligned(size)
        return sizes

    def get(self, sizes: list[int]) -> list[memoryview]:
        """The parts of these sizes, where they lie: valid until the next `put`."""
        memory = memoryview(self._mapped(sum(map(aligned, sizes))))
        parts, start = [], 0
        for size in sizes:
            parts.append(memory[start : start + size])
            start += aligned(size)
        return parts

    def _mapped(self, size: int) -> mmap.mmap:
        """The memory, at least so large."""
        if self._memory is None or len(self._memory) < size:
            if os.fstat(self._file).st_size < max(size, 1):  # never smaller: the other end may have grown it
                os.ftruncate(self._file, max(2 * size, mmap.PAGESIZE))
            self._memory = mmap.mmap(self._file, os.fstat(self._file).st_size)  # views keep the old one as it is
        return self._memory

    def close(self) -> None:
        """Let go of the memory; views of it stay valid."""
        os.close(self._file)
        self._memory = None


class Channel:
    """One end of a connection between two processes.

    Examples
    --------
    >>> one, other = Channel.pair()
    >>> one.send(("numbers", [1, 2]))
    >>> other.receive()
    ('numbers', [1, 2])
    >>> one.close()
    >>> other.hang_up()
    """

    def __init__(self, connection: socket.socket, outbox: Mailbox, inbox: Mailbox) -> None:
        self._socket, self._outbox, self._inbox = connection, outbox, inbox
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Two ends, to be made before a fork: one for the process, one for the fork."""
        left, right = socket.socketpair()
        there, back = Mailbox(), Mailbox()
        return cls(left, there, back), cls(right, back, there)

    def send(self, message: Any, *, through_memory: bool = True) -> None:
        """Give a message to the other end; small ones go through the socket alone, and leave the memory as it is.

        Raises
        ------
        BrokenPipeError, ConnectionResetError
            If the other process has ended.
        """
        buffers: list[pickle.PickleBuffer] = []
        rest = pickle.dumps(message, protocol=5, buffer_callback=buffers.append if through_memory else None)
        sizes = self._outbox.put([buffer.raw() for buffer in buffers]) if buffers else []
        body = pickle.dumps((rest, sizes))
        self._socket.sendall(HEAD.pack(len(body)) + body)

    def receive(self) -> Any:
        """The next message; arrays that came through memory are views, valid until the next such message.

        Raises
        ------
        EOFError
            If the other process has ended.
        """
        self._wait()
        (length,) = HEAD.unpack(self._read(HEAD.size))
        rest, sizes = pickle.loads(self._read(length))
        return pickle.loads(rest, buffers=self._inbox.get(sizes) if sizes else ())

    def _wait(self) -> None:
        """Until there is something to read: awake at first, then asleep."""
        until = time.perf_counter() + PATIENCE
        while not self._poll.poll(0):
            if time.perf_counter() > until:
                self._poll.poll()
                return

    def _read(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            part = self._socket.recv(size - len(parts))
            if not part:
                raise EOFError("the other process has ended")
            parts += part
        return bytes(parts)

    def hang_up(self) -> None:
        """Close the socket of this end in this process: the other end's `receive` raises EOFError once all have."""
        self._socket.close()

    def close(self) -> None:
        """Hang up, and let go of the memory in this process."""
        self.hang_up()
        self._outbox.close()
        self._inbox.close()
