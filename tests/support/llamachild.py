"""llama.cpp's own server in a process of its own: `python -m tests.support.llamachild MODEL [--embeddings]`.

Prints its URL when it serves, and ends when its input does.
"""

from __future__ import annotations

import sys
from typing import Any


def main() -> None:
    """Serve until the input ends."""
    import xllamacpp  # pyright: ignore[reportMissingTypeStubs]

    made: Any = xllamacpp
    params: Any = made.CommonParams()
    params.model.path = sys.argv[1]
    params.model_alias = {"tiny"}
    params.port = 0  # any that is free, of 127.0.0.1
    params.n_ctx = 4096
    params.n_parallel = 2
    params.n_threads_http = 4
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.warmup = False
    params.ui = False
    params.fit_params = False
    params.cache_ram_mib = 0
    params.verbosity = 0
    if "--embeddings" in sys.argv[2:]:
        params.embedding = True
        params.pooling_type = made.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
        params.n_ubatch = params.n_batch
    server: Any = made.Server(params)
    print(f"spectra-url {server.listening_address}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
