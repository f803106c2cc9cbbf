"""HF PEFT behind HTTP: requests that wait when a batch is done form the next batch, of at most `rows`.

It reads a setup line, prints its port, then answers `POST {"rows": [{"bundle", "text"}]}` as the node daemon does. The HTTP is
asyncio alone, which costs less than a framework; the model and the tokenizer have a thread of their own.
"""

import asyncio
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import torch
from peft_model import VERSIONS, PeftModel
from tokenizers import Tokenizer


class Server:
    def __init__(self, setup: dict) -> None:
        self.model = PeftModel(setup)
        self.adapters = {bundle: i for i, bundle in enumerate(setup["bundles"])}
        self.rows = setup["rows"]
        self.tokenizer = Tokenizer.from_file(f"{setup['base']['folder']}/tokenizer.json")
        self.tokenizer.enable_truncation(setup["maxLength"])
        self.tokenizer.enable_padding()
        self.waiting: list[tuple[str, int, asyncio.Future]] = []
        self.arrived = asyncio.Event()
        self.thread = ThreadPoolExecutor(1)

    def classify(self, batch: list) -> list[list[float]]:
        encoded = self.tokenizer.encode_batch([text for text, *_ in batch])
        ids = torch.tensor([row.ids for row in encoded])
        mask = torch.tensor([row.attention_mask for row in encoded])
        logits = self.model(ids, mask, [adapter for _, adapter, _ in batch])
        return torch.softmax(logits, dim=-1).tolist()

    async def work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self.arrived.wait()
            batch, self.waiting = self.waiting[: self.rows], self.waiting[self.rows :]
            if not self.waiting:
                self.arrived.clear()
            scores = await loop.run_in_executor(self.thread, self.classify, batch)
            for (_, _, future), row in zip(batch, scores):
                future.set_result(row)

    async def answer(self, body: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        rows = json.loads(body)["rows"]
        futures = [loop.create_future() for _ in rows]
        for row, future in zip(rows, futures):
            self.waiting.append((row["text"], self.adapters[row["bundle"]], future))
        self.arrived.set()
        return json.dumps({"rows": [{"scores": await future} for future in futures]}).encode()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
                answer = await self.answer(await reader.readexactly(length))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(answer))
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def main() -> None:
    server = Server(json.loads(sys.stdin.readline()))
    working = asyncio.create_task(server.work())
    listener = await asyncio.start_server(server.connected, "127.0.0.1", 0)
    print(json.dumps({"port": listener.sockets[0].getsockname()[1], "versions": VERSIONS}), flush=True)
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await asyncio.wait([working, ended], return_when=asyncio.FIRST_COMPLETED)
    if working.done():
        working.result()


asyncio.run(main())
