"""Rows of a Delta table in an object store, as delta-rs for Python counts them: read_bucket.py <url>.

Credentials and endpoint are those of the environment, as for alluvium.
"""

import os
import sys

from deltalake import DeltaTable

options = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "GOOGLE_", "AZURE_"))}
print(DeltaTable(sys.argv[1], storage_options=options).to_pyarrow_table().num_rows, flush=True)
# Threads of the libraries that still run when the interpreter ends may abort it.
os._exit(0)
