"""Measurements of assetstore beside its peers and the bare server, in one run, as ratios.

``python -m benchmarks`` runs all of them; ``--only serving`` one. A suite is a module of this
package with a ``TITLE`` and ``measure(options)``, which yields :class:`benchmarks.frame.Comparison`
values; its name stands in :data:`benchmarks.frame.SUITES`.
"""
