"""Where rows come from.

Each source turns its settings and a position into Arrow batches, each with the position behind it.
"""
