"""The experiments: one a suite, known by a tag, so that one that was renamed is found, and one that was deleted comes back."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ablations.study import Study
from ablations.tracking import views as mlflow_views
from ablations.tracking.client import BOOK
from ablations.tracking.notes import NOTE, StudyLine, recipe_line, suite_note
from senet_core.errors import InputError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

SUITE = "ablate.suite"
"""The tag that makes an experiment ours, with the name of its suite."""
STUDY = f"{BOOK}study."
"""Begins the tag of each study: what the description says of it."""
WRITTEN = f"{BOOK}note"
"""The digest of the description as it was last written here: one that differs from it was edited by a person, and stays."""
REPORT = "report/report.md"


class Suites:
    """The experiments of one server or database."""

    def __init__(self, client: MlflowClient, artifacts: str | None) -> None:
        self._client, self._artifacts = client, artifacts

    def all(self) -> list[Experiment]:
        """All experiments of ours that are not deleted."""
        from mlflow.entities import ViewType

        return [one for one in self._search(ViewType.ACTIVE_ONLY, None) if SUITE in one.tags]

    def of(self, study: Study) -> str:
        """The id of the experiment of a study's suite. It is made where there is none, and restored with its runs where it was deleted.

        :raises InputError: where its name is taken by an experiment of somebody else's, and the other name for it as well.
        """
        from mlflow.entities import ViewType

        found = self._search(ViewType.ALL, f"tags.`{SUITE}` = '{study.suite}'")
        found.sort(key=lambda one: (one.lifecycle_stage != "active", one.name != study.suite))
        return self._active(found[0]) if found else self._made(study)

    def describe(self, study: Study, experiment: str, report: str | None = None) -> None:
        """Bring description and saved views up to date; ``report`` is the run that carries the study's report, None for no news of it."""
        tags = dict(self._client.get_experiment(experiment).tags)
        for name, value in mlflow_views.views(study, int(1000 * time.time())).items():
            if not mlflow_views.same(value, tags.get(name)):
                self._client.set_experiment_tag(experiment, name, value)
        line = {"recipe": recipe_line(study), "seeds": len(study.seeds), "report": report or _line(tags, study.name).get("report")}
        if _line(tags, study.name) != line:
            self._client.set_experiment_tag(experiment, STUDY + study.name, json.dumps(line))
            tags = dict(self._client.get_experiment(experiment).tags)  # with what other drivers have written meanwhile
        self._note(study, experiment, tags)

    def links(self) -> dict[str, str]:
        """The views of all studies, {words: address after the server's own}, tables first."""
        found = {}
        for one in sorted(self.all(), key=lambda one: str(one.name)):
            for name in sorted(tag.removeprefix(STUDY) for tag in one.tags if tag.startswith(STUDY)):
                found[name] = mlflow_views.link(one.experiment_id, name, "table")
        return found

    # -- the parts

    def _search(self, view: int, condition: str | None) -> list[Experiment]:
        found: list[Experiment] = []
        token: str | None = None
        while token != "":
            page = self._client.search_experiments(view_type=view, filter_string=condition, page_token=token)
            found += page
            token = page.token or ""
        return found

    def _made(self, study: Study) -> str:
        from mlflow.exceptions import MlflowException

        names = (study.suite, f"{study.suite} (ablate)")
        for name in names:
            try:
                return str(self._client.create_experiment(name, artifact_location=self._artifacts, tags={SUITE: study.suite}))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            found = self._client.get_experiment_by_name(name)  # another driver was first, or it is somebody else's
            if found is not None and self._adopted(found, study.suite):
                return self._active(found)
        raise InputError(f"The experiments '{names[0]}' and '{names[1]}' hold runs of something else; rename or remove one of them.")

    def _adopted(self, found: Experiment, suite: str) -> bool:
        """Whether an experiment of that name is ours, or is empty and becomes so: a server's keeper may have made it for us."""
        from mlflow.entities import ViewType

        if SUITE not in found.tags:
            runs = self._client.search_runs([found.experiment_id], run_view_type=ViewType.ALL, max_results=1)
            if runs and "ablate.study" not in runs[0].data.tags:
                return False
            self._client.set_experiment_tag(found.experiment_id, SUITE, suite)
            return True
        return bool(found.tags[SUITE] == suite)

    def _active(self, found: Experiment) -> str:
        if found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _note(self, study: Study, experiment: str, tags: Mapping[str, str]) -> None:
        names = sorted(tag.removeprefix(STUDY) for tag in tags if tag.startswith(STUDY))
        lines = [_study_line(name, experiment, _line(tags, name)) for name in names]
        note = suite_note(study.question, study.source, lines)
        known = tags.get(NOTE)
        if known == note or (known and _digest(known) != tags.get(WRITTEN)):
            return
        self._client.set_experiment_tag(experiment, WRITTEN, _digest(note))
        self._client.set_experiment_tag(experiment, NOTE, note)


def _line(tags: Mapping[str, str], study: str) -> dict[str, Any]:
    try:
        found = json.loads(tags.get(STUDY + study, "{}"))
        return found if isinstance(found, dict) else {}
    except ValueError:
        return {}


def _study_line(name: str, experiment: str, line: Mapping[str, Any]) -> StudyLine:
    links = {"table": mlflow_views.link(experiment, name, "table"), "curves": mlflow_views.link(experiment, name, "curves")}
    if line.get("report"):
        links["report"] = f"#/experiments/{experiment}/runs/{line['report']}/artifacts/{REPORT}"
    return StudyLine(name, str(line.get("recipe", "")), int(line.get("seeds", 0)), links)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
