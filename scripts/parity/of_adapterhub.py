"""What the parity check asks of AdapterHub's `adapters`, as of_peft.py says."""

import logging
from pathlib import Path

import adapters
import torch
from adapters import AdapterConfig, MAMConfig, UniPELTConfig
from safetensors.torch import save_file

NAME = "theirs"
UNIONS = {"mam": MAMConfig, "unipelt": UniPELTConfig}
# It warns of the pass that it makes before an adapter is active.
logging.getLogger("adapters").setLevel(logging.ERROR)


def load(base: torch.nn.Module, folder: Path) -> torch.nn.Module:
    adapters.init(base)
    info = {}
    base.load_adapter(str(folder), set_active=True, use_safetensors=True, loading_info=info)
    # A prefix is held by every layer and by the pool that they share, and filed once.
    unfit = {what: [key for key in keys if ".prefix_tuning.pool." not in key] for what, keys in info.items()}
    unfit = {what: keys for what, keys in unfit.items() if keys}
    assert not unfit, f"{folder}: {unfit}"
    return base


def begin(base: torch.nn.Module, method: str, config: dict) -> torch.nn.Module:
    adapters.init(base)
    base.add_adapter(NAME, config=config_of(method, config))
    base.train_adapter(NAME)
    return base


def config_of(method: str, config: dict) -> AdapterConfig:
    """Of a union, `config` has its members by their names."""
    if method not in UNIONS:
        return AdapterConfig.load(method, **config)
    return UNIONS[method](*(AdapterConfig.load(member, **own) for member, own in config.items()))


def save(model: torch.nn.Module, folder: Path) -> None:
    """As docs/adapters.md says it: the library itself cannot write a prefix as safetensors."""
    folder.mkdir(parents=True)
    model.eject_prefix_tuning(NAME)
    model.save_adapter(str(folder), NAME, use_safetensors=False)
    for pickle, file in [("pytorch_adapter", "adapter"), ("pytorch_model_head", "model_head")]:
        tensors = torch.load(folder / f"{pickle}.bin")
        once = {name: tensor.contiguous() for name, tensor in tensors.items() if ".prefix_tuning.pool." not in name}
        save_file(once, folder / f"{file}.safetensors")
        (folder / f"{pickle}.bin").unlink()


def virtual_tokens(model: torch.nn.Module) -> int:
    return 0
