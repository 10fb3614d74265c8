"""The stored records: one JSON file per table, method and seed, so that a run can be interrupted and continued.

A `Job` is what is measured. Records with other settings (training rows, epochs, threads) are in other folders. This module does not
know what a record contains, except the fields of its job.
"""

import json
import re
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "results" / "tables"


@dataclass(frozen=True)
class Settings:
    """`most_rows` limits the training rows, and `epochs` the epochs or trees; None is no limit and the default of the method."""

    most_rows: int | None = None
    epochs: int | None = None
    n_threads: int = 2

    def folder_name(self):
        parts = [f"{self.most_rows}_rows"] * (self.most_rows is not None) + [f"{self.epochs}_epochs"] * (self.epochs is not None)
        parts += [f"{self.n_threads}_threads"] * (self.n_threads != 2)
        return "-".join(parts) or "defaults"


@dataclass(frozen=True)
class Job:
    table: str
    method: str
    seed: int


class Records:
    """The records with the same settings, in `folder`."""

    def __init__(self, settings, folder=FOLDER):
        self.settings, self.folder = settings, Path(folder) / settings.folder_name()

    def path(self, job):
        """The file of a record. A method with parameters has a digest in its name, because it can have characters such as "/"."""
        slug = re.sub(r"[^\w-]+", "_", job.method)
        if slug != job.method:
            slug += sha256(job.method.encode()).hexdigest()[:8]
        return self.folder / job.table / f"{slug}-{job.seed}.json"

    def get(self, job):
        """The record of a job, or None."""
        path = self.path(job)
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def put(self, job, record):
        """Write a record. The file appears only when it is complete."""
        path = self.path(job)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        unfinished.write_text(json.dumps({**asdict(job), **asdict(self.settings), **record}, indent=1), encoding="utf-8")
        unfinished.replace(path)

    def find(self, jobs):
        """The records of those jobs that have one, in order."""
        return [record for job in jobs if (record := self.get(job)) is not None]
