"""Runs in the functions' Python, with nothing but a form of the code and the runtime's SDK to import from.

`program.py FORM imports MODULE` imports; `... counts MODULE` counts what that loads and reads;
`... answers MODULE` also answers the event on stdin. The result is the last line of stdout, as JSON.
"""

import sys
import time

FORM = sys.argv[1]


def imports(module: str) -> dict[str, object]:
    """Say how long the import takes."""
    began = time.perf_counter()
    __import__(module)
    return {"seconds": time.perf_counter() - began}


def counts(module: str) -> dict[str, object]:
    """Say which modules are loaded and how many bytes of the form's files were opened for that."""
    opened: set[str] = set()

    def note(event: str, arguments: tuple[object, ...]) -> None:
        if event in {"open", "import"} and len(arguments) > 1:
            opened.update(path for path in arguments[:2] if isinstance(path, str) and path.startswith(FORM))

    before = set(sys.modules)
    sys.addaudithook(note)
    __import__(module)
    loaded = set(sys.modules) - before
    import os  # noqa: PLC0415 - loaded in any case, and not to be counted before

    read = sum(os.stat(path).st_size for path in opened if os.path.isfile(path))  # noqa: PTH113, PTH116 - no pathlib here
    carried = [name for name in loaded if str(getattr(sys.modules[name], "__file__", "")).startswith(FORM)]
    return {"modules": len(sys.modules), "carried": len(carried), "bytes": read}


def answers(module: str) -> dict[str, object]:
    """Answer one event as the runtime would have it answered; say how much memory that took."""
    import json  # noqa: PLC0415 - the runtime client has it

    class Context:
        aws_request_id = "0a1b2c3d-0000-4000-8000-000000000000"
        function_name = "records"
        memory_limit_in_mb = 512
        invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:records"

        def get_remaining_time_in_millis(self) -> int:
            return 20_000

    __import__(module)
    answer = sys.modules[module].handler(json.load(sys.stdin), Context())
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 - no pathlib here
        resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    return {"status": answer["statusCode"], "resident_mb": resident / 1024, "sdk": "botocore.session" in sys.modules}


if __name__ == "__main__":
    sys.path[:0] = [FORM, *sys.argv[4:]]
    result = globals()[sys.argv[2]](sys.argv[3])
    import json

    sys.stdout.write("\n" + json.dumps(result) + "\n")
    sys.stdout.flush()  # what Python does at its end is none of the answer's
