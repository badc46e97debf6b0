"""All answers of a run as a table for spreadsheets, beside the few that the page shows.

OUT/answers.csv    a row a question: what was asked and is right, what each model answered and whether that is right
"""

from __future__ import annotations

import csv
import io

from cityscribe.evaluate.question_results import ChoiceOutcome
from cityscribe.files import spreadsheet_cell
from cityscribe.report.question_runs import AnsweringModel, QuestionRun

NAME = "answers.csv"


def answer_table(run: QuestionRun) -> str:
    """The table as CSV in the order of the questions. A text that a spreadsheet would take for a formula is quoted."""
    about = sorted({name for question in run.questions.values() for name in question.about})
    heads = ["question", "clip", *about, "asked", "options", "reference"]
    for model in run.models:
        heads += [f"{model.name}: answer", f"{model.name}: right"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(map(spreadsheet_cell, heads))
    for key, question in run.questions.items():
        row: list[str | float] = [key, question.group, *(question.about.get(name, "") for name in about)]
        row += [question.stem, " | ".join(question.options), _truth(run.first, key) or question.reference]
        for model in run.models:
            outcome = model.outcomes[key].outcome if key in model.outcomes else ""
            row += [model.answers.get(key) or "", outcome]
        writer.writerow(map(spreadsheet_cell, row))
    return out.getvalue()


def _truth(model: AnsweringModel, key: str) -> str:
    """What counts as right, in words where the reference is a letter; empty where the question is not scored."""
    outcome = model.outcomes.get(key)
    return outcome.truth if isinstance(outcome, ChoiceOutcome) else ""
