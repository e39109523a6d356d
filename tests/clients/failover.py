"""PyPI durable-streams through a proxy over several nodes, while leaders are killed.

The base URL is the first argument. Writes and follows until it is told to stop, and then checks that everything came once
and in order. This client has no producer of its own: it sends the protocol's headers where it is given them, and what has
no answer is sent again with the same ones.
"""

import sys
import threading
import time

import httpx
from durable_streams import DurableStream, DurableStreamError, stream

URL = f"{sys.argv[1]}/v1/stream/py-failover/a"
JSON = "application/json"
# What a broken connection and an answer that asks for patience look like.
TRANSIENT = (httpx.HTTPError, DurableStreamError)


class Writer(threading.Thread):
    def __init__(self):
        super().__init__()
        self.seq = 0
        self.repeated = 0
        self.stopped = threading.Event()
        self.failure = None

    def run(self):
        headers = {"Producer-Id": "py", "Producer-Epoch": "0", "Producer-Seq": lambda: str(self.seq)}
        with DurableStream(URL, content_type=JSON, headers=headers, batching=False) as handle:
            while not self.stopped.is_set():
                deadline = time.monotonic() + 60
                while True:
                    try:
                        handle.append({"n": self.seq})
                        break
                    except TRANSIENT as error:
                        status = getattr(error, "status", None)
                        if (status is not None and status < 500) or time.monotonic() > deadline:
                            self.failure = error
                            return
                        self.repeated += 1
                        time.sleep(0.1)
                self.seq += 1
                time.sleep(0.005)


class Reader(threading.Thread):
    """Follows live, on the next connection from the last offset."""

    def __init__(self, live):
        super().__init__(daemon=True)
        self.live = live
        self.items = []
        self.failure = None

    def run(self):
        offset = "-1"
        while True:
            try:
                with stream(URL, offset=offset, live=self.live) as response:
                    for event in response.iter_events(mode="json"):
                        self.items.extend(event.data)
                        offset = event.next_offset
            except TRANSIENT as error:
                status = getattr(error, "status", None)
                if status is not None and status < 500:
                    self.failure = error
                    return
                time.sleep(0.1)


DurableStream.create(URL, content_type=JSON).close()
writer = Writer()
readers = [Reader("long-poll"), Reader("sse")]
for thread in [writer, *readers]:
    thread.start()
print("ok begin", flush=True)
assert sys.stdin.readline().strip() == "stop"
writer.stopped.set()
writer.join()
assert writer.failure is None, writer.failure
expected = [{"n": n} for n in range(writer.seq)]
with stream(URL, offset="-1", live=False) as response:
    assert list(response.iter_json()) == expected
for reader in readers:
    deadline = time.monotonic() + 60
    while len(reader.items) < len(expected) and reader.failure is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert reader.failure is None, reader.failure
    assert reader.items == expected, (reader.live, len(reader.items), len(expected))
assert writer.seq > 100, writer.seq
print(f"count {writer.seq}", flush=True)
print("ok everything once and in order", flush=True)
