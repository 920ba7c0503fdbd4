"""The model card (Mitchell et al. 2019, arXiv 1810.03993), written from a manifest: no number in it is typed."""

from collections.abc import Sequence

from laghu.records import Estimate, Views
from laghu.report import markdown
from laghu.shipping import origins
from laghu.shipping.manifest import Manifest, Model, Origin

_CARD = """\
# A small classifier of Marathi headlines: {study}/{run}

Tells of a Marathi news headline which of {count} topics it is about: {labels}. An encoder of BERT's kind in 8-bit
integers, small enough to run in a web page. It reads the first {max_length} word pieces of a text, the two at its ends
included.

{sizes}

## What it is for

To see what a compressed model does, and to compare it with the encoder that taught it. {learned_from}

## What it must not be used for

Not to decide anything about people, not to filter, rank or remove what they write, and not to say whether a text is
true.

It always answers with one of its topics, also for a text about none of them, in another language or in no language.
Its probabilities were not tested for calibration: a high one is no promise. Texts that are no headlines, and Marathi
that is not written as news is (tweets, Latin script, dialect), were not tested.

## How good it is

On the {tested} test texts of `{corpus}`, of the very files that are given away. In brackets: 95 % bootstrap intervals
over test rows.

{scores}

The clean view leaves out repeats, texts that stand in another split too, and texts whose script was damaged.

## How it was trained

{chain}

## Sources and terms

Given away under **{licence}**, which has the most conditions of the licences of what it was trained on. Whether weights
are an adaptation of the texts that trained them is not settled; these are given away as if they were.{doubts} Name the
sources when you pass it on. The first below is the labelled corpus, the others are the unlabelled text `{text}`.

{origins}

## Files

{files}

Made on {made:%Y-%m-%d} from commit `{commit}`, run key `{run_key}`, texts `{data_sha256}`, corpus `{corpus_sha256}`,
with {versions}. `laghu ship {study}` makes it again.
"""
_FROM_NEWS = ("The headlines that it learned from are those of one news site, and it is at its best with more of the "
              "same. Some of the other texts are tweets, some are abusive, some are machine-translated, and what is "
              "wrong in them may have been learned.")
_INVENTED = "**It was trained on invented headlines: a specimen for trying out the page, and of no other use.**"
_CONFLICT = (" If they are, {licence} does not satisfy every source: what is adapted from texts under CC BY-SA "
             "({names}) may be passed on under CC BY-SA or a licence declared compatible with it, and {licence} is "
             "neither.")
_OF_REPOSITORY = (" The licence named for {names} is that of a repository; whether it covers the texts in it is not "
                  "known.")
_ELSEWHERE = (" The repository that {names} came from states no licence; the one named is that of the collection "
              "behind it.")
_NOTICE = """\
The models in this folder are given away under {licence}:
{address}

card.md beside this file says what they were trained on, under which terms, and what is not settled about that.
The licence at the root of the repository is that of the code, not of the models.
"""
_VIEWS = {"published": "As published", "deduplicated": "Each text once", "clean": "Clean"}
NOTICE = "LICENSE.txt"


def notice(made: Manifest) -> str:
    """What lies beside the models, for whoever meets the folder without the repository around it."""
    return _NOTICE.format(licence=made.licence, address=origins.ADDRESSES[made.licence])


def text(made: Manifest) -> str:
    """The card as Markdown, with one first-level heading."""
    models = {"Small model": made.small, **({"Its teacher": made.teacher} if made.teacher else {})}
    return _CARD.format(
        **made.model_dump(include={"study", "max_length", "corpus", "text", "licence", "commit", "run_key",
                                   "data_sha256", "corpus_sha256", "made"}),
        run=made.small.run,
        learned_from=_INVENTED if made.synthetic else _FROM_NEWS,
        count=len(made.labels),
        labels=", ".join(made.labels),
        sizes=markdown.table(["", *models], _sizes(list(models.values()))),
        tested=f"{made.rows.published:,}",
        scores=markdown.table(["View of the test split", "Texts", "Model", "Accuracy", "Macro-F1"], [
            [label, f"{getattr(made.rows, view):,}", name, _shown(model.accuracy, view), _shown(model.macro_f1, view)]
            for view, label in _VIEWS.items() for name, model in models.items()
        ]),
        chain="\n".join(f"{number}. {step}" for number, step in enumerate(_steps(made), start=1)),
        doubts=_doubts(made),
        origins=markdown.table(["Source", "Texts", "Licence, as stated", "From"], [
            [_name(origin), f"{origin.rows:,}", markdown.plain(origin.licence),
             markdown.plain("; ".join(filter(None, [origin.citation, origin.repository])))]
            for origin in made.origins
        ]),
        files=markdown.table(["File", "Bytes", "sha256"], [
            [f"`{file.name}`", f"{file.bytes:,}", f"`{file.sha256}`"]
            for model in models.values() for file in model.files
        ]),
        versions=", ".join(f"{name} {version}" for name, version in sorted(made.versions.items())),
    )


def _doubts(made: Manifest) -> str:
    """What the licence does not settle: a sentence each, with a space before it."""
    found = [
        (_CONFLICT, origins.share_alike(made.origins) if made.licence not in origins.SHARE_ALIKE else []),
        (_OF_REPOSITORY, origins.of_repository(made.origins)),
        (_ELSEWHERE, origins.stated_elsewhere(made.origins)),
    ]
    return "".join(sentence.format(licence=made.licence, names=", ".join(map(_name, sources)))
                   for sentence, sources in found if sources)


def _name(origin: Origin) -> str:
    return markdown.plain(origin.name.replace("_", " "))


def _sizes(models: Sequence[Model]) -> list[list[str]]:
    return [
        ["Run", *(f"`{model.run}`" for model in models)],
        ["Layers", *(f"{model.shape.num_hidden_layers}" for model in models)],
        ["Hidden size", *(f"{model.shape.hidden_size}" for model in models)],
        ["Word pieces known", *(f"{model.shape.vocab_size:,}" for model in models)],
        ["Parameters", *(f"{model.parameters:,}" for model in models)],
        ["Download", *(f"{model.bytes / 1e6:.1f} MB" for model in models)],
    ]


def _shown(views: Views, view: str) -> str:
    estimate: Estimate = getattr(views, view)
    return f"{100 * estimate.value:.1f} % ({100 * estimate.low:.1f}–{100 * estimate.high:.1f})"


def _steps(made: Manifest) -> list[str]:
    """What led to the weights."""
    settings = made.settings
    return [
        f"A tokenizer and an encoder were trained from scratch on `{settings['pretraining']['text']}`: "
        f"{settings['pretraining']['steps']:,} steps of masked-language modelling.",
        f"The teacher is that encoder, fine-tuned on the training split of `{made.corpus}`.",
        *(_of_student(made) if settings["technique"] == "student"
          else [f"The small model was made from the teacher: {settings['technique'].replace('_', ' ')}."]),
        "Weights and activations became 8-bit integers, their ranges taken over the development split. No test text "
        "was used in any of this.",
    ]


def _of_student(made: Manifest) -> list[str]:
    ensemble = made.settings["ensemble"]
    return [
        "The teacher and a classical classifier (TF-IDF and a linear support vector machine), joined, scored the "
        f"training split and at most {ensemble['texts']:,} texts of `{ensemble['text']}`.",
        "The small model has a shape and a vocabulary of its own. It started from word vectors made from counts over "
        "the same text, and learned those scores.",
    ]
