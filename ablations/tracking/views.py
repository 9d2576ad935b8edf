"""Views that MLflow's page offers under "Views": the variants of a study sorted by error, and its curves averaged over seeds.

MLflow's page keeps a saved view in a tag of the experiment: a name, and the state of its table and charts as JSON. No API writes one, so
the format is its page's own (looked up in releases 3.17 and 3.18). A release that reads it no more shows its plain table instead.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from ablations.study import Study
from ablations.tracking.mirror import judged_by, recipe_name

TAG = "mlflow.sharedViewState."
Kind = Literal["table", "curves"]
TABLE: dict[str, int] = {
    "tags.`ablate.variant`": 140,
    "tags.`ablate.error`": 120,
    "tags.`ablate.difference`": 180,
    "tags.`ablate.verdict`": 130,
    "tags.`ablate.p`": 90,
    "tags.`ablate.smallest_delta`": 160,
    "metrics.`n`": 60,
    "metrics.`parameters`": 110,
    "metrics.`macs`": 110,
    "metrics.`seconds_mean`": 120,
}
"""The columns of the table of variants, with their widths in pixels; the mean of what is measured comes last. Tags tell numbers as the
report does: a metric shows all digits."""
CURVES = {"train_error": "LINE", "top1_error": "BAR", "train_loss": "LINE", "images_per_second": "LINE"}
"""The charts that stand first, by metric; of a user's own loop what it is judged by."""
SECTION = "ablate-metrics"


def views(study: Study, created: int) -> dict[str, str]:
    """The study's saved views as tags of its experiment; ``created`` is in milliseconds since 1970."""
    measured = "error" if study.metric is None else study.metric.name
    texts = {"table": f"Variants by {measured} · {recipe_name(study)}", "curves": f"Curves over seeds · {recipe_name(study)}"}
    states = {"table": _table(study), "curves": _curves(study)}
    return {TAG + view_id(study, kind): _envelope(texts[kind], states[kind], created) for kind in ("table", "curves")}


def same(one: str, other: str | None) -> bool:
    """Whether two tags hold the same view, whenever they were written."""
    if other is None:
        return False
    try:
        parts = [json.loads(text) for text in (one, other)]
        return bool(parts[0]["name"] == parts[1]["name"] and parts[0]["state"] == parts[1]["state"])
    except (ValueError, KeyError, TypeError):
        return False


def link(experiment: str, study: Study | str, kind: Kind) -> str:
    """The address of a view on MLflow's page, to be put after the server's own."""
    mode = "&compareRunsMode=CHART" if kind == "curves" else ""
    return f"#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey={view_id(study, kind)}{mode}"


def view_id(study: Study | str, kind: Kind) -> str:
    """The name of a view in its link: short, and one for each study."""
    name = study if isinstance(study, str) else study.name
    return f"ablate-{hashlib.sha256(name.encode()).hexdigest()[:8]}-{kind}"


def _envelope(name: str, state: dict[str, Any], created: int) -> str:
    return json.dumps({"name": name, "createdAt": created, "updatedAt": created, "state": json.dumps(state)})


def _search(study: Study, kind: str) -> dict[str, Any]:
    return {
        "searchFilter": f"tags.`ablate.study` = '{study.name}' AND tags.`ablate.kind` = '{kind}'",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
    }


def _table(study: Study) -> dict[str, Any]:
    mean = f"metrics.`{judged_by(study)}_mean`"
    own = {} if study.metric is None else {"tags.`ablate.error`": "tags.`ablate.mean`"}
    unknown = () if study.metric is None else ("metrics.`parameters`", "metrics.`macs`")
    columns = {own.get(name, name): width for name, width in TABLE.items() if name not in unknown} | {mean: 150}
    order = {"orderByKey": mean, "orderByAsc": study.lower_is_better}
    return _search(study, "parent") | order | {"selectedColumns": list(columns), "columnOrder": list(columns), "columnWidths": columns}


def _curves(study: Study) -> dict[str, Any]:
    charts = [
        {
            "uuid": f"ablate-{metric}",
            "type": kind,
            "metricKey": metric,
            "metricSectionId": SECTION,
            "isGenerated": True,
            "deleted": False,
            "runsCountToCompare": 100,
            "lineSmoothness": 0,
            "scaleType": "linear",
            "xAxisScaleType": "linear",
            "xAxisKey": "step",
            "useGlobalXaxisKey": True,
            "useGlobalLineSmoothing": True,
        }
        for metric, kind in (CURVES if study.metric is None else {judged_by(study): "BAR"}).items()
    ]
    section = {"uuid": SECTION, "name": "Model metrics", "display": True, "isReordered": True}
    return _search(study, "child") | {
        "orderByKey": "tags.`mlflow.runName`",  # by which its page knows the name of a run
        "orderByAsc": True,
        "selectedColumns": [f"metrics.`{judged_by(study)}`"],
        "groupBy": {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": "ablate.variant"}]},
        "useGroupedValuesInCharts": True,
        "compareRunCharts": charts,
        "compareRunSections": [section],
    }
