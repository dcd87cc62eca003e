"""A bundle's network as a torch module, from files that can run no code of their own.

Taken: an exported program (``.pt2``), TorchScript (``.ts``, or ``.pt`` that is one), safetensors, and a ``.pt`` of plain
tensors (``weights_only``), the last two with a network of ``monai.networks.nets``. A pickle that holds anything but
tensors is refused: opening one runs whatever its author wrote.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from torch import nn

    from serving.segmentation.bundle import Bundle

ENDINGS = (".pt2", ".ts", ".safetensors", ".pt", ".pth")
PREFERRED = (*(f"model{ending}" for ending in ENDINGS),)


def find_program(folder: Path) -> Path:
    """The file to load of a bundle's folder: ``models/model.pt2`` first, then TorchScript, safetensors, weights.

    Raises:
        NotFound: there is none.
    """
    models = folder / "models" if (folder / "models").is_dir() else folder
    for name in PREFERRED:
        if (models / name).is_file():
            return models / name
    others = sorted(path for path in models.iterdir() if path.suffix in ENDINGS)
    if len(others) == 1:
        return others[0]
    raise NotFound(f"The bundle has no model: {models.name}/ needs one of {', '.join(PREFERRED)}. Download its weights first.")


def load_program(path: Path, bundle: Bundle, device: str = "cpu") -> nn.Module:
    """The network, in evaluation mode, on ``device``.

    Raises:
        InvalidInput: the file would run code, is damaged, or does not fit the network that the bundle names.
    """
    import torch

    try:
        if path.suffix == ".pt2":
            return torch.export.load(path).module().to(device)  # an exported program is in evaluation mode already
        if path.suffix == ".ts" or _is_torchscript(path):
            return torch.jit.load(path, map_location=device).eval()
    except Exception as error:
        raise InvalidInput(f"{path.name} cannot be loaded as a program: {type(error).__name__}.") from error
    return _with_weights(_weights(path), bundle).to(device)


def _is_torchscript(path: Path) -> bool:
    if path.suffix not in (".pt", ".pth") or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())


def _weights(path: Path) -> dict[str, Any]:
    import pickle

    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InvalidInput(
            f"{path.name} is a pickle with more than tensors in it. Opening it would run its author's code, so it was not opened. "
            "Save the weights as safetensors, or export the program (torch.export)."
        ) from None
    except Exception as error:
        raise InvalidInput(f"{path.name} cannot be read: {type(error).__name__}.") from error
    for key in ("state_dict", "model", "net"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    return found


def _with_weights(weights: dict[str, Any], bundle: Bundle) -> nn.Module:
    from monai.networks import nets
    from torch import nn

    if not bundle.network:
        raise InvalidInput("The bundle has weights, and no plain network_def in configs/inference.json to build their network from.")
    made = getattr(nets, str(bundle.network["class"]), None)
    if not isinstance(made, type) or not issubclass(made, nn.Module):
        raise InvalidInput(f"monai.networks.nets has no network {bundle.network['class']}. Only its networks are built.")
    try:
        network = made(**bundle.network["arguments"])
        network.load_state_dict(weights)
    except Exception as error:
        raise InvalidInput(f"The weights do not fit the network {bundle.network['class']}: {str(error)[:200]}") from error
    return network.eval()
