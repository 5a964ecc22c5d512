"""Import TensorFlow without its start-up notices; its warnings and errors still reach the screen.

TensorFlow 2.19 to 2.21 write notices such as "Could not find cuda drivers" to file descriptor 2 while they are
imported, before TF_CPP_MIN_LOG_LEVEL is read (tensorflow/tensorflow issue 100442). `quieten_tensorflow` makes the first
import in this process, whoever asks for it, drop the notices and pass on the other lines once it is done.
"""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

# absl's header line, and messages of level INFO with its prefix or with TensorFlow's own
NOTICE = re.compile(rb"WARNING: All log messages before absl::InitializeLog|I\d{4} \S+ +\d+ |[\d: .-]+: I ")
STANDARD_ERROR = 2


def quieten_tensorflow() -> None:
    """Drop TensorFlow's start-up notices from now on, unless it is imported already."""
    if "tensorflow" not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds `tensorflow` as the other finders do, and wraps its loader. Removes itself."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    """Runs a module with its notices dropped."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__.loader = module.__loader__ = self._loader  # importlib.resources asks the module's own loader
        with without_notices():
            self._loader.exec_module(module)


@contextmanager
def without_notices() -> Iterator[None]:
    """Drop the lines that match NOTICE from what the body writes to file descriptor 2; the others follow afterwards."""
    sys.stderr.flush()
    before = os.dup(STANDARD_ERROR)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), STANDARD_ERROR)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(before, STANDARD_ERROR)
            os.close(before)
            kept.seek(0)
            for line in kept:
                if not NOTICE.match(line):
                    os.write(STANDARD_ERROR, line)
