"""The pooled embedding of objects as features of their Labels layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped, import-not-found, unused-ignore]
    from napari.layers import Labels

    from ...engine.inference.embeddings.object_table import ObjectTable


def put_features(labels: Labels, table: ObjectTable, record: dict[str, Any]) -> int:
    """Give every object of a Labels layer its mean embedding, and return how many there are.

    A label that is there in several frames (a track) gets the mean over all its pixels. The rows per frame, and where
    they come from, are kept in ``metadata["napari_tarrow_objects"]``. Features that others put there stay.

    Parameters
    ----------
    labels
    table : ObjectTable
        One row per object and frame.
    record
        Provenance.
    """
    import pandas as pd

    ids, which = np.unique(table.label, return_inverse=True)
    weights = table.area.astype(float)
    area = np.bincount(which, weights, minlength=len(ids))
    sums = np.zeros((len(ids), table.embedding.shape[1]))
    np.add.at(sums, which, table.embedding * weights[:, None])
    own = {"frames": np.bincount(which, minlength=len(ids)), "area": area}
    own |= {f"f{number}": column for number, column in enumerate((sums / area[:, None]).T)}
    features = pd.DataFrame({"index": ids, **own})
    before = labels.features
    if before.shape[1]:
        known = _by_label(before)
        others = known[[name for name in known.columns if name == "index" or name not in own]]
        features = others.merge(features, on="index", how="outer")
    labels.features = features
    labels.metadata["napari_tarrow_objects"] = {"columns": table.columns(), **record}
    return len(ids)


def _by_label(features: pd.DataFrame) -> pd.DataFrame:
    """Return features with the label of each row in "index", as napari reads it; words there are no labels."""
    import pandas as pd

    rows = np.arange(len(features))
    if "index" not in features:
        return features.assign(index=rows)
    labels = pd.to_numeric(features["index"], errors="coerce")
    if (labels.isna() & features["index"].notna()).any():
        return features.rename(columns={"index": "index (words)"}).assign(index=rows)
    return features.assign(index=labels)
