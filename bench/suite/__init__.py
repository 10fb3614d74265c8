"""The asv benchmarks. Each module measures one aspect; `common` has the shared code."""
