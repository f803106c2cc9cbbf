"""Exports the base model with one adapter merged into it, in the form that transformers.js reads: FOLDER/onnx/model.onnx in fp32, and
model_quantized.onnx (`q8`). The latter is quantized as by its own conversion script: onnxruntime's dynamic quantization, signed weights.

Run by the benchmark: python bench/peers/export_onnx.py BASE_FOLDER ADAPTER_FOLDER FOLDER
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from peft_model import PeftModel


class Logits(torch.nn.Module):
    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.model(input_ids, attention_mask, token_type_ids).logits


def main(base: Path, adapter: Path, folder: Path) -> None:
    setup = {"base": {"folder": str(base)}, "adapters": [str(adapter)], "precision": "fp32", "threads": 2}
    model = Logits(PeftModel(setup).model.merge_and_unload()).eval()
    names = ["input_ids", "attention_mask", "token_type_ids"]
    (folder / "onnx").mkdir(parents=True)
    file = folder / "onnx" / "model.onnx"
    example = torch.ones((2, 8), dtype=torch.long)
    axes = {name: {0: "batch", 1: "sequence"} for name in names} | {"logits": {0: "batch"}}
    with torch.no_grad():
        torch.onnx.export(
            model,
            (example, example, torch.zeros_like(example)),
            file,
            input_names=names,
            output_names=["logits"],
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )
    quantize_dynamic(file, folder / "onnx" / "model_quantized.onnx", weight_type=QuantType.QInt8)
    labels = json.loads((adapter / "weft.json").read_text())["labels"]
    config = json.loads((base / "config.json").read_text())
    config["architectures"] = ["BertForSequenceClassification"]
    config["id2label"] = dict(enumerate(labels))
    config["label2id"] = {label: i for i, label in enumerate(labels)}
    (folder / "config.json").write_text(json.dumps(config))
    tokens = {f"{name}_token": f"[{name.upper()}]" for name in ["unk", "sep", "pad", "cls", "mask"]}
    tokenizer = {"tokenizer_class": "BertTokenizer", "model_max_length": 512, **tokens}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    shutil.copy(base / "tokenizer.json", folder)


main(*map(Path, sys.argv[1:]))
