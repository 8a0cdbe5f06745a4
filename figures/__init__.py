"""What is shown: one figure is one file with one Recipe (cached ``data``, pure ``draw``)."""
