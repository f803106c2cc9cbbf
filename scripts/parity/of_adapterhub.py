"""What the parity check asks of AdapterHub's `adapters`, as of_peft.py says."""

import logging
from pathlib import Path

import adapters
import torch
from adapters import AdapterConfig

NAME = "theirs"
# It warns of the pass that it makes before an adapter is active.
logging.getLogger("adapters").setLevel(logging.ERROR)


def load(base: torch.nn.Module, folder: Path) -> torch.nn.Module:
    adapters.init(base)
    info = {}
    base.load_adapter(str(folder), set_active=True, use_safetensors=True, loading_info=info)
    unfit = {what: keys for what, keys in info.items() if keys}
    assert not unfit, f"{folder}: {unfit}"
    return base


def begin(base: torch.nn.Module, method: str, config: dict) -> torch.nn.Module:
    adapters.init(base)
    base.add_adapter(NAME, config=AdapterConfig.load(method, **config))
    base.train_adapter(NAME)
    return base


def save(model: torch.nn.Module, folder: Path) -> None:
    folder.mkdir(parents=True)
    model.save_adapter(str(folder), NAME, use_safetensors=True)


def virtual_tokens(model: torch.nn.Module) -> int:
    return 0
