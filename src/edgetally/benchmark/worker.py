"""The process that does one measurement: a `Job` on standard input, `Measured` on its output."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2

from edgetally.benchmark.bare_engine import measure_decoding, measure_engine
from edgetally.benchmark.measurement import Job, Measured
from edgetally.benchmark.sample_way import measure_sample
from edgetally.benchmark.whole_loop import measure_loop
from edgetally.bundle import ModelBundle
from edgetally.errors import EdgetallyError


def measure(job: Job) -> Measured:
    """Do one measurement in this process. Raises what the measured code raises."""
    times = {"warm_up": job.warm_up, "seconds": job.seconds}
    if job.kind == "loop":
        return measure_loop(job)
    if job.kind == "decoding":
        return measure_decoding(job.sources, **times)
    bundle = ModelBundle.load(Path(job.bundle))
    if job.kind == "sample":
        return measure_sample(bundle, job.sources[0], **times)
    return measure_engine(bundle, job.engine, job.precision, job.sources[0], **times)


def main() -> int:
    """Read the job, measure, print."""
    cv2.setLogLevel(0)
    try:
        measured = measure(Job.model_validate_json(sys.stdin.read()))
    except EdgetallyError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(f"{measured.model_dump_json()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
