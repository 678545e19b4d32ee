"""Log streams: the engine's lines as frames, as many under way as the reader allows.

A followed stream keeps up by dropping its oldest lines, counted and said; one that only reads what is there
waits for room instead, and so loses nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime

from nodeagent import names
from nodeagent.errors import AgentError, Refused
from nodeagent.observer import Observer
from nodeagent.protocol import Close, Credit, LogFrame, LogLine, OpenLogs, engine_name
from nodeagent.runtime.base import Runtime, Stream
from nodeagent.segments import comparable

log = logging.getLogger(__name__)

FRAME_LINES = 100
FRAME_BYTES = 256 * 1024
FRAME_EVERY = 0.05
BUFFER_BYTES = 1024 * 1024
MAX_STREAMS = 64
REOPEN_WAIT = 1.0


class LogStream:
    """One open stream: filled by its reader thread, emptied by the link's."""

    def __init__(self, request: OpenLogs, ready: Callable[[], None]) -> None:
        self.request = request
        self._ready = ready
        self._room = threading.Condition()
        self._lines: deque[LogLine] = deque()
        self._bytes = 0
        self._dropped = 0
        self._credit = max(0, request.credit)
        self._end: str | None = None
        self._sent_at = 0.0
        self._number = 0
        self._greeting = True
        self.source: Stream[LogLine] | None = None
        self.closed = threading.Event()

    def push(self, line: LogLine) -> None:
        with self._room:
            size = len(line.text) + 64
            while self._bytes + size > BUFFER_BYTES and self._lines and not self.closed.is_set():
                if self.request.follow:
                    self._bytes -= len(self._lines.popleft().text) + 64
                    self._dropped += 1
                else:
                    self._room.wait(1.0)
            self._lines.append(line)
            self._bytes += size
            count = len(self._lines)
        if count in {1, FRAME_LINES}:
            # Between these two nothing changes for the link.
            self._ready()

    def greet(self) -> None:
        """Say that the stream is open, with or without credit."""
        self._greeting = True
        self._ready()

    def finish(self, error: str = "") -> None:
        self._end = error
        self._ready()

    def add_credit(self, frames: int) -> None:
        with self._room:
            self._credit += max(0, frames)
        self._ready()

    def close(self) -> None:
        self.closed.set()
        with self._room:
            self._room.notify_all()
        if self.source is not None:
            self.source.close()

    def due(self, now: float) -> float | None:
        """Seconds until a frame may go; None while there is nothing to send or no credit."""
        if self._greeting:
            return 0.0
        if self._credit <= 0 or not (self._lines or self._end is not None):
            return None
        full = len(self._lines) >= FRAME_LINES or self._end is not None
        return 0.0 if full else max(0.0, self._sent_at + FRAME_EVERY - now)

    def take(self, now: float) -> LogFrame:
        """The next frame. Only when `due` is 0."""
        with self._room:
            self._number += 1
            if self._greeting:
                self._greeting = False
                return LogFrame(stream=self.request.stream, number=self._number)
            lines: list[LogLine] = []
            size = 0
            while self._lines and len(lines) < FRAME_LINES and size < FRAME_BYTES:
                line = self._lines.popleft()
                size += len(line.text) + 64
                lines.append(line)
            self._bytes -= size
            dropped, self._dropped = self._dropped, 0
            self._credit -= 1
            self._sent_at = now
            last = self._end is not None and not self._lines
            self._room.notify_all()
        error = (self._end or "") if last else ""
        return LogFrame(
            stream=self.request.stream,
            number=self._number,
            lines=tuple(lines),
            dropped=dropped,
            end=last,
            error=error,
        )


class Streams:
    """All open streams of the link's session."""

    def __init__(self, runtime: Runtime, observer: Observer, wake: Callable[[], None]) -> None:
        self._runtime = runtime
        self._observer = observer
        self._wake = wake
        self._lock = threading.Lock()
        self._open: dict[str, LogStream] = {}

    def open(self, request: OpenLogs) -> None:
        stream = LogStream(request, self._wake)
        with self._lock:
            if request.stream in self._open:
                return
            self._open[request.stream] = stream
            full = len(self._open) > MAX_STREAMS
        if full:
            stream.finish(f"This node has {MAX_STREAMS} log streams open and opens no more; close one.")
            return
        threading.Thread(target=self._read, args=(stream,), name="log-stream", daemon=True).start()

    def credit(self, message: Credit) -> None:
        with self._lock:
            stream = self._open.get(message.stream)
        if stream and message.frames == 0:
            stream.greet()
        elif stream:
            stream.add_credit(message.frames)

    def close(self, message: Close) -> None:
        with self._lock:
            stream = self._open.pop(message.stream, None)
        if stream:
            stream.close()

    def close_all(self) -> None:
        with self._lock:
            streams, self._open = list(self._open.values()), {}
        for stream in streams:
            stream.close()

    def next_frame(self) -> LogFrame | None:
        """A frame that may go now; streams take turns."""
        now = time.monotonic()
        with self._lock:
            for name, stream in self._open.items():
                if stream.due(now) == 0.0:
                    frame = stream.take(now)
                    del self._open[name]
                    if not frame.end:
                        self._open[name] = stream
                    return frame
        return None

    def due(self) -> float | None:
        """Seconds until `next_frame` may have one; None when only new lines or credit bring one."""
        now = time.monotonic()
        with self._lock:
            times = [due for stream in self._open.values() if (due := stream.due(now)) is not None]
        return min(times, default=None)

    def _read(self, stream: LogStream) -> None:
        try:
            self._follow(stream)
        except AgentError as error:
            stream.finish(error.message)
        except Exception:
            log.exception("log stream %s failed", stream.request.stream)
            stream.finish("The log stream failed on the node; open it again.")
        else:
            stream.finish()

    def _follow(self, stream: LogStream) -> None:
        """Read to the end. The engine ends a log with each run, so a restarted container is read on."""
        request = stream.request
        names.check_name(names.SLOT, request.slot, "The slot")
        name = engine_name(request.slot, request.generation)
        facts = self._runtime.inspect(name)
        if facts is not None and not self._observer.is_ours(facts):
            raise Refused(f"The container {name} was not made by this cluster, so its log is not shown.")
        since = time.time() - request.since if request.since > 0 else 0.0
        tail, resume_after, last = request.tail, comparable(request.after), ""
        if resume_after:
            since = _seconds(resume_after)
        while not stream.closed.is_set():
            stream.source = source = self._runtime.logs(name, follow=request.follow, tail=tail, since=since)
            if stream.closed.is_set():
                source.close()
            for line in source:
                moment = comparable(line.at)
                if moment > resume_after or not moment:
                    stream.push(line)
                    last = max(last, moment)
            if not request.follow or not self._goes_on(stream, name, pause=last in {"", resume_after}):
                return
            resume_after, tail = last or resume_after, -1
            since = _seconds(last) if last else since

    def _goes_on(self, stream: LogStream, name: str, *, pause: bool) -> bool:
        """Whether there is a run to read on. `pause`: the last one said nothing, so do not hurry."""
        while not stream.closed.is_set():
            facts = self._runtime.inspect(name)
            if facts is None or facts.ended:
                return False
            if facts.state == "running" and not pause:
                return True
            pause = False
            with self._observer.changed:
                self._observer.changed.wait(REOPEN_WAIT)
        return False


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(f"{moment[:26]}+00:00").timestamp()
