"""The plot stage."""

import pytest


@pytest.mark.slow
def test_plot_ignores_backend_of_notebook(finished):
    plots = finished.folder / "reports/tiny_numbers/plots"
    before = {path.name: path.read_bytes() for path in plots.iterdir()}
    ended = finished.stage("plot", "tiny_numbers", MPLBACKEND="module://matplotlib_inline.backend_inline")
    assert ended.returncode == 0, ended.said
    assert {path.name: path.read_bytes() for path in plots.iterdir()} == before
