"""A local web page to walk a data set or a run, scenario by scenario: `cityscribe data browse DATA|RUN`.

`library` reads and indexes what is browsed, `search` finds entries in it, `detail` says all about one entry, `pictures`
makes frames and images, `app` serves them with `page/`.
"""
