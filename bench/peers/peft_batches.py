"""HF PEFT's side of the batch benchmarks: reads a setup line, then a batch a line; answers each with its time and logits."""

import json
import sys
import time

import torch
from peft_model import VERSIONS, PeftModel


def pad(rows: list[dict]) -> tuple[torch.Tensor, torch.Tensor]:
    length = max(len(row["ids"]) for row in rows)
    ids = torch.zeros((len(rows), length), dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row["ids"])] = torch.tensor(row["ids"])
        mask[i, : len(row["ids"])] = 1
    return ids, mask


def answer(message: dict) -> None:
    print(json.dumps(message), flush=True)


def main() -> None:
    model = PeftModel(json.loads(sys.stdin.readline()))
    answer({"versions": VERSIONS})
    for line in sys.stdin:
        rows = json.loads(line)
        ids, mask = pad(rows)
        start = time.perf_counter()
        logits = model(ids, mask, [row["adapter"] for row in rows])
        answer({"ms": (time.perf_counter() - start) * 1e3, "logits": logits.tolist()})


main()
