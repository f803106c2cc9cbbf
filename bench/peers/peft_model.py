"""The base model with adapters of HF PEFT, each row of a batch on the adapter that it names."""

import contextlib
import json
import sys
from pathlib import Path

import peft
import torch
import transformers

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts" / "fixtures"))
from mean_pooling import MEAN_CLASSIFIERS  # noqa: E402

VERSIONS = f"torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}"


class PeftModel:
    """`precision` is fp32, autocast (fp32 under bf16 autocast) or bf16 (everything held in it)."""

    def __init__(self, setup: dict) -> None:
        torch.set_num_threads(setup["threads"])
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        folder = setup["base"]["folder"]
        model_type = json.loads((Path(folder) / "config.json").read_text())["model_type"]
        labels = len(json.loads((Path(setup["adapters"][0]) / "weft.json").read_text())["labels"])
        base = MEAN_CLASSIFIERS[model_type].from_pretrained(folder, num_labels=labels)
        first, *rest = setup["adapters"]
        model = peft.PeftModel.from_pretrained(base, first, adapter_name="0")
        for i, adapter in enumerate(rest, 1):
            model.load_adapter(adapter, adapter_name=str(i))
        self.precision = setup["precision"]
        self.model = (model.bfloat16() if self.precision == "bf16" else model).eval()

    def __call__(self, ids: torch.Tensor, mask: torch.Tensor, adapters: list[int]) -> torch.Tensor:
        autocast = torch.autocast("cpu", dtype=torch.bfloat16) if self.precision == "autocast" else contextlib.nullcontext()
        with torch.inference_mode(), autocast:
            names = [str(adapter) for adapter in adapters]
            return self.model(input_ids=ids, attention_mask=mask, adapter_names=names).logits.float()
