"""Files that are replaced together.

Paths and texts go in; complete files come out. If one file cannot be written, all files are unchanged. This module does not know
what the files contain.
"""

import os
import threading
from contextlib import ExitStack


def replace_texts(texts):
    """Write the texts to the paths of a dict. Existing files are replaced after all texts were written to temporary files."""
    with ExitStack() as stack:
        written = {}
        for path, text in texts.items():
            written[path] = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
            stack.callback(written[path].unlink, missing_ok=True)
            with open(written[path], "w", encoding="ascii", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        for path, temporary in written.items():
            os.replace(temporary, path)
