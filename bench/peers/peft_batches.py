"""HF PEFT's side of the batch benchmarks: reads a setup line, then a batch a line; answers each with its time and logits."""

import json
import sys
import time

import torch
from lines import answer, pad
from peft_model import VERSIONS, PeftModel


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
