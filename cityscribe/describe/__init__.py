"""Clips in, a table out: who is seen in each stretch of each clip, and what a model says of them.

    describe([Path("clips")], "runs/demo/model", [Path("table.csv"), Path("table.html")], settings, Options())

One clip after the other: its spans (`clips`), their pictures (`pictures`), the road users that are there
(`road_users`), what is said of those and of no others (`asking`), and rows of a table (`rows`), which are written as
CSV, JSON or a gallery (`gallery`). A journal keeps each finished clip (`table`), so that a killed call goes on and ends
with the same bytes.
"""
