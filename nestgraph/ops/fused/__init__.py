"""Steps of such memories with backwards written by hand."""
