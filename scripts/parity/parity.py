"""The Python half of the parity check: a library of adapters, torch and the Rust tokenizers, with a base model's own files.

- Every FOLDER/ours/NAME, an adapter that Weft trained, is loaded in the library; difference.json says how far its log
  probabilities are from those that Weft served (expected.json). Its subfolder `merged`, which Weft merged it into, is
  loaded in transformers; merged-difference.json says the same of that.
- For each case of FOLDER/plan.json an adapter is trained with the library and saved as FOLDER/theirs/NAME, with an
  expected.json for Weft to match.

Run by `npm run parity`: python scripts/parity/parity.py peft|adapterhub FOLDER
"""

import importlib
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import AutoModelForSequenceClassification, AutoTokenizer

sys.path.insert(0, str(Path(__file__).parent.parent / "fixtures"))
from mean_pooling import MEAN_CLASSIFIERS  # noqa: E402


def classifier(base: str, pooling: str, labels: int) -> torch.nn.Module:
    model_type = json.loads((Path(base) / "config.json").read_text())["model_type"]
    model = AutoModelForSequenceClassification if pooling == "cls" else MEAN_CLASSIFIERS[model_type]
    # In DistilBERT's usual attention AdapterHub's library (1.2) adds 1 to the scores of a prefix, which is not how it is defined.
    return model.from_pretrained(base, num_labels=labels, attn_implementation="eager")


def encode(base: str, texts: list[str], max_length: int) -> dict[str, torch.Tensor]:
    tokenizer = Tokenizer.from_file(str(Path(base) / "tokenizer.json"))
    tokenizer.enable_truncation(max_length)
    tokenizer.enable_padding()
    encoded = tokenizer.encode_batch(texts)
    return {
        "input_ids": torch.tensor([row.ids for row in encoded]),
        "attention_mask": torch.tensor([row.attention_mask for row in encoded]),
    }


def log_probabilities(
    model: torch.nn.Module, batch: dict[str, torch.Tensor], temperature: float = 1.0
) -> torch.Tensor:
    with torch.no_grad():
        return torch.log_softmax(model.eval()(**batch).logits / temperature, dim=-1)


def one_by_one(
    model: torch.nn.Module, base: str, texts: list[str], max_length: int, temperature: float = 1.0
) -> torch.Tensor:
    """Log probabilities of texts that no batch pads: AdapterHub's gates average over padding too."""
    rows = [log_probabilities(model, encode(base, [text], max_length), temperature) for text in texts]
    return torch.cat(rows)


def merged_log_probabilities(folder: Path, texts: list[str]) -> torch.Tensor:
    """Loads the folder by the instructions in its README.md, with its own tokenizer."""
    weft = json.loads((folder / "weft.json").read_text())
    trusted = {"trust_remote_code": True} if weft["pooling"] == "mean" else {}
    tokenizer = AutoTokenizer.from_pretrained(folder, **trusted)
    model, info = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True, **trusted)
    unfit = {what: keys for what, keys in info.items() if keys}
    assert not unfit, f"{folder}: {unfit}"
    assert [model.config.id2label[i] for i in range(model.config.num_labels)] == weft["labels"]
    inputs = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    return log_probabilities(model, inputs, weft["temperature"])


def check(library, folder: Path, plan: dict) -> None:
    for ours in sorted((folder / "ours").iterdir()):
        weft = json.loads((ours / "weft.json").read_text())
        expected = torch.tensor(json.loads((ours / "expected.json").read_text())["log_probabilities"])
        base = classifier(plan["base"], weft["pooling"], len(weft["labels"]))
        model = library.load(base, ours)
        max_length = weft["max_length"] - library.virtual_tokens(model)
        actual = one_by_one(model, plan["base"], plan["texts"], max_length, weft.get("temperature", 1.0))
        (ours / "difference.json").write_text(json.dumps((actual - expected).abs().max().item()))
        if not (ours / "merged").exists():
            continue
        actual = merged_log_probabilities(ours / "merged", plan["texts"])
        (ours / "merged-difference.json").write_text(json.dumps((actual - expected).abs().max().item()))


def save(library, model: torch.nn.Module, folder: Path, dtype: torch.dtype) -> None:
    """Saves in a precision, and leaves the model with the values that this precision can hold."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.copy_(parameter.to(dtype))
    # In training mode the dropout of a prompt's encoder would be saved.
    library.save(model.eval(), folder)
    for file in folder.glob("*.safetensors"):
        tensors = {name: tensor.to(dtype) for name, tensor in load_file(file).items()}
        save_file(tensors, file, metadata={"format": "pt"})


def train(library, folder: Path, plan: dict) -> None:
    for case in plan["theirs"]:
        torch.manual_seed(7)
        base = classifier(plan["base"], case["pooling"], len(plan["labels"]))
        model = library.begin(base, case["method"], case["config"]).train()
        for name, parameter in model.named_parameters():
            if case.get("frozen") and case["frozen"] in name:
                parameter.requires_grad = False
        max_length = plan["max_length"] - library.virtual_tokens(model)
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-3)
        rows = plan["rows"]
        for begin in range(0, len(rows), 8):
            part = rows[begin : begin + 8]
            batch = encode(plan["base"], [row["text"] for row in part], max_length)
            labels = torch.tensor([plan["labels"].index(row["label"]) for row in part])
            model(**batch, labels=labels).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        theirs = folder / "theirs" / case["name"]
        save(library, model, theirs, getattr(torch, case["dtype"]))
        result = one_by_one(model, plan["base"], plan["texts"], max_length)
        (theirs / "expected.json").write_text(json.dumps({"log_probabilities": result.tolist()}))


if __name__ == "__main__":
    torch.set_num_threads(2)
    chosen = importlib.import_module(f"of_{sys.argv[1]}")
    root = Path(sys.argv[2])
    everything = json.loads((root / "plan.json").read_text())
    check(chosen, root, everything)
    train(chosen, root, everything)
