"""What lies elsewhere, at `https://…`, `s3://bucket/path` or `gs://bucket/path`: read and written for a user, with their project's key.

    source = opening.open_source(address, key)       fetching.fetch(source, folder, progress)
    target = opening.open_target(address, key)       sending.send(root, entries, target, progress, journal=…)

It knows keys, but not of jobs or versions. Whatever is asked goes through mlteam.outside.
"""
