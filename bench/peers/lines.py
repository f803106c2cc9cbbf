"""The common part of HF PEFT's benchmark processes: batches come as lines of JSON, and so do the answers."""

import json

import torch


def pad(rows: list[dict]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and attention mask `[rows, longest]` of rows of `ids`, padded on the right."""
    length = max(len(row["ids"]) for row in rows)
    ids = torch.zeros((len(rows), length), dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row["ids"])] = torch.tensor(row["ids"])
        mask[i, : len(row["ids"])] = 1
    return ids, mask


def answer(message: dict) -> None:
    print(json.dumps(message), flush=True)
