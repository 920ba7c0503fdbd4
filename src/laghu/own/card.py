"""The card of a compressed model, as the Hugging Face hub reads it (Mitchell et al. 2019, arXiv 1810.03993)."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import EvalResult, ModelCardData

from laghu import corpora
from laghu.own import rows
from laghu.own.checks import Report
from laghu.own.settings import Settings
from laghu.report import citation, markdown

if TYPE_CHECKING:
    from laghu.own.delivery import Delivered

_CARD = """\
---
{data}
---

# {title}

{what} It tells which of {count} labels a text bears: {labels}. It reads the first {max_length} tokens of a text.

## How to use it

With transformers alone:

```python
from transformers import pipeline

classify = pipeline("text-classification", "path/of/this/folder")
classify("a text")
```

In 8-bit integers, without PyTorch: `laghu classify path/of/this/folder/onnx < lines-of-text.txt`, or any program that
reads ONNX and `tokenizer.json`.

## What it is for

To label texts of the kind that it was trained on. Nobody has tested it on others: try it on yours before you rely
on it.

It always answers with one of its labels, also for a text about none of them or in another language. Its probabilities
were not tested for calibration. It must not decide anything about people on its own.

## How good it is

On {tested} test texts. In brackets: 95 % bootstrap intervals over test rows.

{scores}

The clean view leaves out repeats, texts that stand in another split too, and texts that had been read in a wrong
encoding.

## How small and how fast it is

{costs}

{conditions}

## The data

{data_table}

{findings}

## How it was made

{steps}

## Licence

{licence}

## Citation

{cited}

```bibtex
{bibtex}
```

Made on {made:%Y-%m-%d} with Laghu at commit `{commit}`; texts `{texts}`, run key `{run_key}`.
"""


def text(model: "Delivered", settings: Settings, report: Report, labels: list[str]) -> str:
    """The card as Markdown with its metadata in front. Nothing of this machine's folders stands in it."""
    record, known = model.record, _base(settings)
    name = f"{known or 'a small encoder'}, {_pruned(record)}"
    return _CARD.format(
        data=_metadata(model, settings, labels).to_yaml(), title=markdown.plain(name[0].upper() + name[1:]),
        what=_what(record, known), count=len(labels), labels=", ".join(map(markdown.plain, labels)),
        max_length=record.settings["fine_tuning"]["max_length"],
        tested=f"{record.rows.published:,}", scores=markdown.table(*rows.scores([model])),
        costs=markdown.table(*rows.costs([model])), conditions=rows.conditions(record),
        data_table=markdown.table(
            ["Split", "Rows", "Different texts", "Also in another split", "Clean"],
            [[split, *(f"{report.splits[split][field]:,}" for field in ("rows", "texts", "in_other_split", "clean"))]
             for split in corpora.SPLITS],
        ),
        findings="\n".join(f"- **{each.level}**: {markdown.plain(each.text)}" for each in report.findings),
        steps="\n".join(f"{number}. {step}" for number, step in enumerate(_steps(record, known), start=1)),
        licence=f"`{settings.licence}`, as its maker says." if settings.licence else
        "Not stated. Whoever gives the model away has to say under which licence, in `license` above and here: the "
        "licences of the model that it was made from and of the texts bind it.",
        cited="Name the model that it was made from, and Laghu:", bibtex=citation.bibtex(citation.load()),
        made=record.finished, commit=record.commit, texts=record.data_sha256, run_key=record.run_key,
    )


def _metadata(model: "Delivered", settings: Settings, labels: list[str]) -> ModelCardData:
    record = model.record
    about: dict[str, Any] = {
        "task_type": "text-classification", "dataset_type": "own", "dataset_name": "own texts, clean test rows",
        "dataset_split": "test",
    }
    return ModelCardData(
        language=settings.language, license=settings.licence or "unknown", library_name="transformers",
        pipeline_tag="text-classification", base_model=_base(settings), metrics=["accuracy", "f1"],
        tags=["laghu", "pruning", "distillation", "onnx"] if record.pruning_level else ["laghu", "onnx"],
        model_name=model.name,
        eval_results=[
            EvalResult(metric_type="accuracy", metric_value=record.accuracy.clean.value, **about),
            EvalResult(metric_type="f1", metric_name="macro-F1", metric_value=record.macro_f1.clean.value, **about),
        ],
        co2_eq_emissions={
            "emissions": 1000 * record.co2e_kg, "source": "codecarbon", "training_type": "fine-tuning",
            "geographical_location": record.settings["measuring"]["country"],
            "hardware_used": record.hardware["gpu"] or record.hardware["cpu"],
        },
    )


def _base(settings: Settings) -> str | None:
    """Name of the model on the hub; None where it came from a folder, whose path is nobody's business, or from here."""
    return settings.model if settings.model and not Path(settings.model).exists() else None


def _pruned(record: Any) -> str:
    return f"{100 * record.pruning_level:.0f} % of its FFN neurons removed" if record.pruning_level else "not pruned"


def _what(record: Any, known: str | None) -> str:
    origin = f"`{known}`" if known else "an encoder"
    if not record.pruning_level:
        return f"This is {origin}, fine-tuned, and nothing of it is pruned."
    return f"This is {origin}, {100 * record.pruning_level:.0f} % smaller in the intermediate size of its layers."


def _steps(record: Any, known: str | None) -> list[str]:
    settings = record.settings
    tuned = settings["fine_tuning"]
    steps = [
        f"The encoder is {f'`{known}`' if known else 'that of a checkpoint of the maker of this model'}."
        if settings["model"] else
        "A tokenizer and an encoder were trained from scratch on the training texts: "
        f"{settings['pretraining']['steps']:,} steps of masked-language modelling.",
        f"Fine-tuning on the training split: {tuned['epochs']:g} epochs, batches of {tuned['batch_size']}, learning "
        f"rate {tuned['learning_rate']:.1e}."
        if tuned["epochs"] else "Its classifier knew these labels, and was taken as it was.",
    ]
    if record.pruning_level:
        pruning, distilling = settings["pruning"], settings["distilling"]
        steps.append(
            f"Block movement pruning for {pruning['epochs']:g} epochs, taught by the unpruned classifier (temperature "
            f"{distilling['temperature']:g}, weight {distilling['alpha']:g}); then its neurons were cut out. Logits "
            f"before and after the cut differ by at most {record.surgery_error:.1e}."
        )
    return [*steps, "For `onnx/`, weights and activations became 8-bit integers, their ranges taken over the "
            "development split. No test text was used in any of this."]
