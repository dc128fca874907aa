"""What `scripts/benchmark_tracking.py` measures: the tracker beside a published one."""
