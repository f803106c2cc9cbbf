"""HF PEFT's LoRA on torch, fp32, as its users run it: shuffled batches, padded to their longest, dropout as the model has it."""

import sys
import time
from pathlib import Path

import torch
from peft import LoraConfig, TaskType, get_peft_model
from torch.nn.functional import cross_entropy
from transformers import AutoModelForSequenceClassification, get_scheduler, set_seed

sys.path.insert(0, str(Path(__file__).parent.parent / "fixtures"))
from mean_pooling import BertMeanForSequenceClassification  # noqa: E402
from peers import by_length, encode, pad, peak_bytes, read_rows, runs, say  # noqa: E402

MODELS = {"cls": AutoModelForSequenceClassification, "mean": BertMeanForSequenceClassification}
SCHEDULES = {"linear": "linear", "constant": "constant_with_warmup"}
TEST_ROWS = 64
REPORT_SECONDS = 0.25


def build(run: dict) -> torch.nn.Module:
    method = run["method"]
    base = MODELS[method["pooling"]].from_pretrained(run["base"], num_labels=len(run["labels"]))
    config = LoraConfig(
        task_type=TaskType.SEQ_CLS,
        r=method["r"],
        lora_alpha=method["alpha"],
        lora_dropout=method["dropout"],
        use_rslora=method["use_rslora"],
        target_modules=method["target_modules"],
    )
    return get_peft_model(base, config)


def test(model: torch.nn.Module, rows: list[list[int]], epoch: int) -> dict:
    model.eval()
    logits = torch.zeros((len(rows), model.config.num_labels))
    with torch.no_grad():
        for part in by_length(rows, TEST_ROWS):
            logits[part] = model(**pad([rows[i] for i in part])).logits
    return {"epoch": epoch, "logits": logits.tolist()}


def train(run: dict) -> dict:
    torch.set_num_threads(run["threads"])
    set_seed(run["seed"])
    h = run["hyperparameters"]
    texts, labels = read_rows(run["training"], run["labels"])
    test_texts, _ = read_rows(run["test"], run["labels"])
    rows = encode(run["base"], texts, h["max_length"])
    test_rows = encode(run["base"], test_texts, h["max_length"])

    model = build(run)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=h["learning_rate"], weight_decay=h["weight_decay"])
    steps = h["epochs"] * -(-len(rows) // h["batch_size"])
    schedule = get_scheduler(SCHEDULES[run["peer"]["schedule"]], optimizer, round(h["warmup_ratio"] * steps), steps)
    started = reported = time.monotonic()
    step = tokens = 0
    tested, epochs = [], []
    for epoch in range(1, h["epochs"] + 1):
        model.train()
        total = 0.0
        for batch in torch.randperm(len(rows)).split(h["batch_size"]):
            part = [rows[i] for i in batch]
            loss = cross_entropy(model(**pad(part)).logits, torch.tensor([labels[i] for i in batch]))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, h["max_grad_norm"])
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            total += loss.item() * len(part)
            step += 1
            tokens += sum(len(row) for row in part)
            now = time.monotonic()
            seconds = now - started
            if now - reported >= REPORT_SECONDS or step == steps:
                reported = now
                progress = {
                    "step": step,
                    "steps": steps,
                    "epoch": h["epochs"] * step / steps,
                    "loss": loss.item(),
                    "tokens_per_second": tokens / seconds,
                    "eta_seconds": seconds / step * (steps - step),
                }
                say({"type": "progress", "progress": progress})
        epochs.append({"epoch": epoch, "train_loss": total / len(rows)})
        if run["tests"] == "each" or epoch == h["epochs"]:
            tested.append(test(model, test_rows, epoch))
    return {
        "tested": tested,
        "epochs": epochs,
        "trainable_parameters": sum(parameter.numel() for parameter in trained),
        "trained_tokens": tokens,
        "tokens_per_second": tokens / seconds,
        "peak_bytes": peak_bytes(),
    }


for each in runs():
    say({"type": "done", **train(each)})
