"""The other side of bench/probes.ts: scikit-learn on the same rows. Reads one JSON request a line, answers with one JSON line."""

import json
import sys
import time

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression

print(json.dumps({"scikit-learn": sklearn.__version__, "numpy": np.__version__}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    rows, heads, width = request["rows"], request["heads"], request["width"]
    features = np.fromfile(request["features"], dtype=np.float32).reshape(rows, heads, width)
    labels = np.fromfile(request["labels"], dtype=np.uint8)
    masks = np.fromfile(request["masks"], dtype=np.uint8).reshape(-1, rows).astype(bool)
    wall, processor = time.perf_counter(), time.process_time()
    found = []
    for mask in masks:
        for head in range(heads):
            x = features[:, head]
            probe = LogisticRegression(max_iter=1000).fit(x[mask], labels[mask])
            right = (probe.predict(x[~mask]) == labels[~mask]).sum()
            found.append([*probe.coef_[0].tolist(), float(probe.intercept_[0]), int(right), int(probe.n_iter_[0])])
    answer = {"wall": 1000 * (time.perf_counter() - wall), "processor": 1000 * (time.process_time() - processor), "fits": found}
    print(json.dumps(answer), flush=True)
