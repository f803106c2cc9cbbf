"""The side of HF PEFT or AdapterHub in benchmarks of training: reads a setup line, then a batch a line; answers each with its time and loss."""

import json
import resource
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
import transformers
from lines import answer, pad
from torch.nn.functional import cross_entropy

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts" / "fixtures"))
from mean_pooling import MEAN_CLASSIFIERS  # noqa: E402

# Methods that AdapterHub's library trains.
ADAPTERHUB = {"bottleneck", "mam", "unipelt"}


def build(setup: dict) -> tuple[torch.nn.Module, str]:
    """The model, and the library that trains it: each needs a version of transformers of its own, and so a Python."""
    folder = setup["base"]["folder"]
    model_type = json.loads((Path(folder) / "config.json").read_text())["model_type"]
    off = {} if setup["baseDropout"] else {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    base = MEAN_CLASSIFIERS[model_type].from_pretrained(folder, num_labels=setup["labels"], **off)
    if setup["config"]["type"] in ADAPTERHUB:
        from adapterhub_steps import plain_name as name_of
        from adapterhub_steps import trained_model

        library = "adapters"
    else:
        from peft_steps import trained_model

        library, name_of = "peft", str
    model = trained_model(base, setup["config"])
    set_parameters(model, setup["parameters"], name_of)
    return model.train(), library


def set_parameters(model: torch.nn.Module, given: dict[str, list[float]], name_of: Callable[[str], str]) -> None:
    """Sets the trained tensors to the values of the other side, and fails unless both sides train the same tensors."""
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            values = torch.tensor(given.pop(plain_name(name_of(name), given)), dtype=torch.float32)
            parameter.data.copy_(values.reshape(parameter.shape))
    if given:
        raise SystemExit(f"not trained here: {', '.join(given)}")


def plain_name(name: str, given: dict) -> str:
    """The name by which an adapter's file has a tensor; that of a prompt which no network computes is the file's alone."""
    for inserted in (".modules_to_save", ".default", ".base_layer"):
        name = name.replace(inserted, "")
    name = name.removeprefix("base_model.").removeprefix("model.").replace("lora_magnitude_vector.weight", "lora_magnitude_vector")
    return "prompt_embeddings" if name.startswith("prompt_encoder") and name not in given else name


def cpu_ms() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return (usage.ru_utime + usage.ru_stime) * 1e3


def main() -> None:
    setup = json.loads(sys.stdin.readline())
    torch.set_num_threads(setup["threads"])
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    model, library = build(setup)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=setup["learningRate"], weight_decay=0.01)
    answer({"versions": f"torch {torch.__version__}, transformers {transformers.__version__}, {library} {version(library)}"})
    for line in sys.stdin:
        rows = json.loads(line)
        ids, mask = pad(rows)
        labels = torch.tensor([row["label"] for row in rows])
        cpu, start = cpu_ms(), time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=setup["precision"] == "bf16"):
            loss = cross_entropy(model(input_ids=ids, attention_mask=mask).logits, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, setup["clip"])
        optimizer.step()
        optimizer.zero_grad()
        answer({"ms": (time.perf_counter() - start) * 1e3, "cpuMs": cpu_ms() - cpu, "loss": loss.item()})
    answer({"peakMiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024})


main()
