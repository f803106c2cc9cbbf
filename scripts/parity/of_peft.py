"""What the parity check asks of HF PEFT: each library has such a file."""

from pathlib import Path

import torch
from peft import (
    IA3Config,
    LoraConfig,
    PeftModel,
    PrefixTuningConfig,
    PromptEncoderConfig,
    PromptTuningConfig,
    RoadConfig,
    TaskType,
    get_peft_model,
)

CONFIGS = {
    "LORA": LoraConfig,
    "IA3": IA3Config,
    "PREFIX_TUNING": PrefixTuningConfig,
    "PROMPT_TUNING": PromptTuningConfig,
    "P_TUNING": PromptEncoderConfig,
    "ROAD": RoadConfig,
}


def load(base: torch.nn.Module, folder: Path) -> torch.nn.Module:
    return PeftModel.from_pretrained(base, folder)


def begin(base: torch.nn.Module, method: str, config: dict) -> torch.nn.Module:
    """Gives the base model an adapter to train."""
    return get_peft_model(base, CONFIGS[method](task_type=TaskType.SEQ_CLS, **config))


def save(model: torch.nn.Module, folder: Path) -> None:
    model.save_pretrained(folder)


def virtual_tokens(model: torch.nn.Module) -> int:
    """Virtual tokens are of the tokens that an adapter reads."""
    return getattr(model.active_peft_config, "num_virtual_tokens", None) or 0
