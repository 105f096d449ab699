"""Python imports this as it starts where the folder is on PYTHONPATH: a child process has the canary's words, too.

What is found in a folder that the child clears up is said on stderr with a word, which the run is searched for.
"""

import atexit
import sys
import tempfile
from pathlib import Path

from tests.canary import VALUE
from tests.clearing import found, own_folders, watch

own_folders.add(Path(tempfile.gettempdir()).absolute())
watch()
atexit.register(lambda: sys.stderr.writelines(f"{VALUE} or a password was in {place}\n" for place in found))
