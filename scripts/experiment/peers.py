"""The common part of the peers of `npm run experiment`: a run comes as a line of JSON on stdin, answers go as lines to stdout."""

import json
import re
import resource
import sys
from pathlib import Path

from tokenizers import Tokenizer


def runs():
    for line in sys.stdin:
        yield json.loads(line)


def say(message: dict) -> None:
    print(json.dumps(message), flush=True)


def read_rows(path: str, labels: list[str]) -> tuple[list[str], list[int]]:
    rows = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").split("\n") if line.strip()]
    return [row["text"] for row in rows], [labels.index(row["label"]) for row in rows]


def encode(folder: str, texts: list[str], max_length: int) -> list[list[int]]:
    tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    tokenizer.enable_truncation(max_length)
    tokenizer.no_padding()
    return [encoded.ids for encoded in tokenizer.encode_batch(texts)]


def pad(rows: list[list[int]]) -> dict:
    import torch

    length = max(len(row) for row in rows)
    ids = torch.zeros((len(rows), length), dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        mask[i, : len(row)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def by_length(rows: list[list[int]], size: int) -> list[list[int]]:
    """Batches of `size` row indices, each of rows of similar length."""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    return [order[begin : begin + size] for begin in range(0, len(order), size)]


def peak_bytes() -> int | None:
    """Most memory that this process had resident."""
    try:
        status = Path("/proc/self/status").read_text()
        return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1))
    except OSError:
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return kilobytes if sys.platform == "darwin" else 1024 * kilobytes
