"""Writes the results as Markdown. Knows nothing of how they were measured."""

from typing import Any

USUAL = "the usual way"
MOST_MODULES = 330
MODULES = [
    "Modules are counted twice: those out of the artefact, and all that there are once the handler is imported, with",
    "Python's own: a bare interpreter has two dozen, and these libraries want a hundred more. SQLAlchemy with pg8000,",
    "as they are installed, come to 330 in all, so none of ours stays under that; the tests of the artefact hold",
    "both counts where they are.",
]


def render(result: dict[str, Any]) -> str:
    """Return the report."""
    lines = [
        "# Cold start",
        "",
        "Out of what `sam build` makes, in fresh processes of the runtime's Python that have nothing else to import",
        f"from but the runtime's SDK; the forms take turns, medians of {result['runs']} runs. Plain is what SAM's own",
        "builder makes of the same sources and pins. Milliseconds are this machine's; the ratios are the point.",
        "`make bench-coldstart` measures again.",
        "",
        *_imports(result["import"]),
        *_answers(result["answer"]),
        *_zips(result["zip"]),
    ]
    return "\n".join(lines)


def summary(result: dict[str, Any]) -> list[str]:
    """Return the README's table: ours with the secret by the API, as the template deploys it, and the usual way."""
    forms = {
        "Slotwise": ("ours", "ours, secret by the API", "ours, for both processors"),
        USUAL: ("plain", USUAL, "plain, for one"),
    }
    lines = [
        "| cold start | import | modules | bytes read | first answer | round trips | zip |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, (form, answer, uploaded) in forms.items():
        one, first = result["import"]["handlers.records"][form], result["answer"][answer]
        size = _mb(result["zip"][uploaded])
        read = f"{one['modules']} | {_mb(one['bytes'])}"
        lines.append(f"| {name} | {_ms(one)} | {read} | {_ms(first)} | {first['flights']} | {size} |")
    return lines


def _imports(found: dict[str, Any]) -> list[str]:
    lines = [
        "## Import of each handler",
        "",
        "| | ours | plain | ratio | must |",
        "|---|---:|---:|---:|---:|",
    ]
    for module, forms in found.items():
        ours, plain = forms["ours"], forms["plain"]
        bytes_ratio = ours["bytes"] / plain["bytes"]
        most = f"{MOST_MODULES}, not reached" if ours["modules"] > MOST_MODULES else f"{MOST_MODULES}"
        lines += [
            f"| `{module}`: time | {_ms(ours)} | {_ms(plain)} | **{ours['seconds'] / plain['seconds']:.2f}** | 0.33 |",
            f"| `{module}`: modules out of the artefact | **{ours['carried']}** | {plain['carried']} | | 330 |",
            f"| `{module}`: modules in all | {ours['modules']} | {plain['modules']} | | {most} |",
            f"| `{module}`: bytes read | {_mb(ours['bytes'])} | {_mb(plain['bytes'])} | **{bytes_ratio:.2f}** | 0.5 |",
        ]
    return [*lines, "", *MODULES, ""]


def _answers(found: dict[str, Any]) -> list[str]:
    usual = found[USUAL]
    lines = [
        "## From the start of the process to the first answer",
        "",
        "Secret fetched, connected over TLS, a row read and answered through the API's validation. The usual way is",
        "the same route with boto3, `create_engine` and Powertools, in the plain artefact.",
        "",
        "| | time | ratio | must | flights | resident memory | SDK imported |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for name, one in found.items():
        ratio = f"**{one['seconds'] / usual['seconds']:.2f}** | 0.4" if name != USUAL else "1 | "
        sdk = "yes" if one["sdk"] else "no"
        lines.append(f"| {name} | {_ms(one)} | {ratio} | {one['flights']} | {one['resident_mb']:.0f} MB | {sdk} |")
    return [*lines, ""]


def _zips(found: dict[str, int]) -> list[str]:
    lines = ["## What is uploaded", "", "| | zipped |", "|---|---:|"]
    return [*lines, *(f"| {name} | {_mb(size)} |" for name, size in found.items()), ""]


def _ms(one: dict[str, Any]) -> str:
    return f"{one['seconds'] * 1000:.0f} ms"


def _mb(size: float) -> str:
    return f"{size / 1e6:.1f} MB"
