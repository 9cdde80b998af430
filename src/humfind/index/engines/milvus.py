"""A Milvus server keeps the vectors too, and proposes neighbours: on this machine or on a cluster.

Where it is, the environment says, never the index, which may come from anywhere: HUMFIND_MILVUS is an address
(``http://host:19530``) or a file whose name ends in ``.db``, which Milvus Lite keeps (one process at a time);
HUMFIND_MILVUS_TOKEN a token where one is asked for. A collection is named after what it holds and never changed: an
index with other songs is another collection. Those that no index uses stay until someone drops them. A server may go
on building after the vectors have come in, and propose better afterwards.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from humfind.index.engines import Proposal, State
from humfind.index.engines.ivf import CENTROIDS_A_ROOT
from humfind.index.vectors import VectorTable
from humfind.types import Floats, InputError, Ints

ADDRESS, TOKEN = "HUMFIND_MILVUS", "HUMFIND_MILVUS_TOKEN"
PREFIX = "humfind_"
NAME = re.compile(rf"{PREFIX}[0-9a-f]{{16}}")
ROWS = 5_000  # sent together
MOST = 16_384  # rows that Milvus proposes to a query, and lists that it makes
OPENED = 32  # lists compared with a query, all where they hold too few rows
AGAIN = "build the index again"


class Milvus:
    """State: collection (24,) uint8, the name's letters."""

    def __init__(self, table: VectorTable, state: Mapping[str, np.ndarray] | None = None) -> None:
        self._table = table
        if state is None:
            self.collection = _name(table)
            _fill(self.collection, table)
        else:
            self.collection = state.get("collection", np.empty(0)).tobytes().decode("ascii", "replace")
            if not NAME.fullmatch(self.collection):
                raise ValueError("engine milvus: its state is not the name of a collection")

    @staticmethod
    def require() -> None:
        """Raises InputError where nothing answers."""
        client = _client()
        with _told():
            client.list_collections()

    @cached_property
    def _loaded(self) -> str:
        """The collection, looked for at the first search."""
        with _told():
            if not _client().has_collection(self.collection):
                raise InputError(f"engine milvus: {_address()} has no collection {self.collection}; {AGAIN}")
            held = int(_client().get_collection_stats(self.collection)["row_count"])
            if held != len(self._table):
                held_of = f"{held:,} of {len(self._table):,}"
                raise InputError(f"engine milvus: {self.collection} holds {held_of} rows; {AGAIN}")
            _client().load_collection(self.collection)
        return self.collection

    def propose(self, vectors: Floats, k: int) -> Proposal:
        """The k nearest of the lists that are opened. Raises InputError for more than Milvus gives."""
        if k > MOST:
            raise InputError(f"engine milvus: proposes {MOST:,} rows at most, not {k:,}; take engine exact or ivfpq")
        rows = self._nearest(vectors, k, OPENED)
        short = [row for row, found in enumerate(rows) if len(found) < k]
        for row, found in zip(short, self._nearest(vectors[short], k, MOST) if short else [], strict=True):
            rows[row] = found
        return Proposal(np.array(rows, np.int64).reshape(len(vectors), k), None)

    def _nearest(self, vectors: Floats, k: int, opened: int) -> list[list[int]]:
        with _told():
            found = _client().search(
                self._loaded,
                data=list(np.asarray(vectors, np.float32)),
                limit=k,
                search_params={"metric_type": "L2", "params": {"nprobe": opened}},
                consistency_level="Strong",
            )
        return [[int(hit["row"]) for hit in hits] for hits in found]

    def add(self, table: VectorTable) -> Milvus:
        return Milvus(table)

    def delete(self, table: VectorTable, kept: Ints) -> Milvus:
        return Milvus(table)

    def state(self) -> State:
        return {"collection": np.frombuffer(self.collection.encode(), np.uint8)}


def _name(table: VectorTable) -> str:
    """By the content, so that the same vectors are the same collection."""
    digest = hashlib.sha256()
    for _, part in table.blocks():
        digest.update(part.tobytes())
    return PREFIX + digest.hexdigest()[:16]


def _fill(name: str, table: VectorTable) -> None:
    """What is there already stays; what an interrupted one left is made again."""
    client = _client()
    from pymilvus import DataType  # after what says that it is missing

    with _told():
        if client.has_collection(name):
            if int(client.get_collection_stats(name)["row_count"]) == len(table):
                return
            client.drop_collection(name)
        fields = client.create_schema(auto_id=False)
        fields.add_field("row", DataType.INT64, is_primary=True)
        fields.add_field("vector", DataType.FLOAT_VECTOR, dim=table.dim)
        made = client.prepare_index_params()
        lists = max(1, min(round(CENTROIDS_A_ROOT * len(table) ** 0.5), MOST))  # Milvus Lite: 128, whatever is said
        made.add_index("vector", index_type="IVF_SQ8", metric_type="L2", params={"nlist": lists})
        client.create_collection(name, schema=fields)
        client.create_index(name, made, sync=False)  # loading it waits; Milvus Lite cannot tell when it is made
        for start in range(0, len(table), ROWS):
            part = table[start : start + ROWS]
            client.insert(name, [{"row": start + row, "vector": vector} for row, vector in enumerate(part)])
        client.flush(name)


def _address() -> str:
    address = os.environ.get(ADDRESS, "")
    if not address:
        raise InputError(f"engine milvus: {ADDRESS} is not set; set it to an address, or to a file that ends in .db")
    return address


def _client() -> Any:
    return _opened(_address(), os.environ.get(TOKEN, ""))


@lru_cache(maxsize=4)
def _opened(address: str, token: str) -> Any:
    try:
        from pymilvus import MilvusClient
    except ImportError as error:
        raise InputError("engine milvus: pymilvus is not installed; pip install 'humfind[milvus]'") from error
    with _told():
        return MilvusClient(address, token=token)


@contextmanager
def _told() -> Iterator[None]:
    """Milvus's errors in one line."""
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except MilvusException as error:
        said = " ".join(str(error.message).split())[:200]
        raise InputError(f"engine milvus: {_address()}: {said}; see that it runs, or set {ADDRESS}") from error
