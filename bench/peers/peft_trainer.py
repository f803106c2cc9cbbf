"""HF PEFT's side of bench/train.ts: reads a setup line, then a batch a line; answers each with time and loss."""

import json
import resource
import sys
import time

import peft
import torch
import transformers
from lines import answer, pad
from torch.nn.functional import cross_entropy


class MeanClassifier(torch.nn.Module):
    """A BERT encoder, the mean of its token vectors, and a linear classifier."""

    def __init__(self, folder: str, labels: int, dropout: bool) -> None:
        super().__init__()
        off = {} if dropout else {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        self.bert = transformers.BertModel.from_pretrained(folder, add_pooling_layer=False, **off)
        self.classifier = torch.nn.Linear(self.bert.config.hidden_size, labels)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        hidden = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return self.classifier((hidden * mask).sum(1) / mask.sum(1))


def build(setup: dict) -> torch.nn.Module:
    config = peft.LoraConfig(
        r=setup["r"],
        lora_alpha=2 * setup["r"],
        lora_dropout=setup["adapterDropout"],
        target_modules=["query", "value"],
        modules_to_save=["classifier"],
    )
    model = peft.get_peft_model(MeanClassifier(setup["base"]["folder"], setup["labels"], setup["baseDropout"]), config)
    set_parameters(model, setup["parameters"])
    return model.train()


def set_parameters(model: torch.nn.Module, given: dict[str, list[float]]) -> None:
    """Sets the trained tensors to the values of the other side, and fails unless both sides train the same tensors."""
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    for name, parameter in trained.items():
        plain = name.removeprefix("base_model.model.").replace(".modules_to_save", "").replace(".default", "")
        values = torch.tensor(given.pop(plain), dtype=torch.float32)
        parameter.data.copy_(values.reshape(parameter.shape))
    if given:
        raise SystemExit(f"not trained here: {', '.join(given)}")


def cpu_ms() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return (usage.ru_utime + usage.ru_stime) * 1e3


def main() -> None:
    setup = json.loads(sys.stdin.readline())
    torch.set_num_threads(setup["threads"])
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    model = build(setup)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=setup["learningRate"], weight_decay=0.01)
    answer({"versions": f"torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}"})
    for line in sys.stdin:
        rows = json.loads(line)
        ids, mask = pad(rows)
        labels = torch.tensor([row["label"] for row in rows])
        cpu, start = cpu_ms(), time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=setup["precision"] == "bf16"):
            loss = cross_entropy(model(ids, mask), labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, setup["clip"])
        optimizer.step()
        optimizer.zero_grad()
        answer({"ms": (time.perf_counter() - start) * 1e3, "cpuMs": cpu_ms() - cpu, "loss": loss.item()})
    answer({"peakMiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024})


main()
