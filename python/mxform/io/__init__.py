"""Arrays in files: mx.save, mx.savez, mx.savez_compressed, mx.save_safetensors, mx.save_gguf and mx.load.

``files`` has the public functions; ``npy``, ``npz``, ``safetensors`` and ``gguf`` (with the block formats of
``gguf_blocks``) each read and write one format; ``stream`` is what all of them read from; ``memory`` connects the
memory of arrays with bytes. See docs/files.md.
"""

from .files import *  # noqa: F403
from .files import __all__  # noqa: F401
