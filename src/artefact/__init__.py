"""Builds what is deployed: see `python -m artefact --help`. Runs on the builder's machine and leaves itself out.

Needs nothing but Python and pip, so that it also runs in SAM's build container.
"""
