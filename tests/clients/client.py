"""PyPI durable-streams against the server whose base URL is the first argument."""

import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from durable_streams import (
    AsyncDurableStream,
    DurableStream,
    SeqConflictError,
    StreamExistsError,
    StreamNotFoundError,
    stream,
)

BASE = sys.argv[1]
JSON = "application/json"


def url(name):
    return f"{BASE}/v1/stream/py/{name}"


def done(step):
    print(f"ok {step}", flush=True)


def restart_server(how):
    print(f"restart {how}", flush=True)
    answer = sys.stdin.readline().strip()
    assert answer == "restarted", answer


def numbers(start, end):
    return [{"n": n} for n in range(start, end)]


def raises(kind, action):
    try:
        action()
    except kind:
        return
    raise AssertionError(f"expected {kind.__name__}")


def read_all(name):
    with stream(url(name), offset="-1", live=False) as response:
        return list(response.iter_json())


def create_and_append():
    with DurableStream.create(url("text"), content_type="text/plain") as handle:
        handle.append(b"hello ")
        handle.append("wörld".encode())
        with handle.stream(live=False) as response:
            assert response.read_text() == "hello wörld"
        assert handle.head().content_type == "text/plain"
        handle.append(b"!", seq="b")
        raises(SeqConflictError, lambda: handle.append(b"!", seq="a"))
    raises(StreamExistsError, lambda: DurableStream.create(url("text"), content_type=JSON))
    raises(StreamNotFoundError, lambda: DurableStream.connect(url("absent")))
    done("create and append")


def json_batch():
    """Appends of many threads at once go out as arrays, which the server takes apart."""
    with DurableStream.create(url("batch"), content_type=JSON) as handle, ThreadPoolExecutor(16) as pool:
        list(pool.map(handle.append, numbers(0, 100)))
    assert sorted(read_all("batch"), key=lambda item: item["n"]) == numbers(0, 100)
    done("json batch")


def idempotent_producer():
    """This client has no producer of its own; it sends the protocol's headers where it is given them."""
    seq = 0
    headers = {"Producer-Id": "py", "Producer-Epoch": "0", "Producer-Seq": lambda: str(seq)}
    DurableStream.create(url("produced"), content_type=JSON).close()
    with DurableStream(url("produced"), content_type=JSON, headers=headers, batching=False) as handle:
        for seq in range(20):
            first = handle.append({"n": seq})
            again = handle.append({"n": seq})
            assert again.next_offset == first.next_offset, seq
        seq = 30
        raises(SeqConflictError, lambda: handle.append({"n": 30}))
    assert read_all("produced") == numbers(0, 20)
    done("idempotent producer")


def collect(name, live, offset, count):
    """Follows a stream until `count` messages came; returns them and the offset to go on from."""
    items = []
    with stream(url(name), offset=offset, live=live) as response:
        for event in response.iter_events(mode="json"):
            items.extend(event.data)
            if len(items) >= count:
                return items, event.next_offset
    raise AssertionError(f"the read ended after {len(items)} of {count}")


def live_and_resume(live):
    name = f"live-{live}"
    with DurableStream.create(url(name), content_type=JSON) as handle:
        for item in numbers(0, 10):
            handle.append(item)
        later = threading.Timer(0.3, lambda: [handle.append(item) for item in numbers(10, 20)])
        later.start()
        items, offset = collect(name, live, "-1", 20)
        later.join()
        assert items == numbers(0, 20), items
        done(f"live {live}")
        for round_number, how in enumerate(["term", "kill"]):
            start = 20 + 10 * round_number
            restart_server(how)
            later = threading.Timer(0.3, lambda: [handle.append(item) for item in numbers(start, start + 10)])
            later.start()
            items, offset = collect(name, live, offset, 10)
            later.join()
            assert items == numbers(start, start + 10), items
    assert read_all(name) == numbers(0, 40)
    done(f"resume {live}")


async def asynchronous():
    handle = await AsyncDurableStream.create(url("async"), content_type=JSON)
    async with handle:
        await asyncio.gather(*(handle.append(item) for item in numbers(0, 20)))
        async with handle.stream(offset="-1", live=False) as response:
            items = await response.read_json()
    assert sorted(items, key=lambda item: item["n"]) == numbers(0, 20)
    done("async client")


create_and_append()
json_batch()
idempotent_producer()
live_and_resume("long-poll")
live_and_resume("sse")
asyncio.run(asynchronous())
DurableStream.delete_static(url("text"))
raises(StreamNotFoundError, lambda: DurableStream.connect(url("text")))
done("delete")
