"""The live page: what stands in it before its script runs, and the headlines to pick from."""

import html
from collections.abc import Iterable
from pathlib import Path

from laghu.shipping.manifest import Manifest, Model

# Relative to the folder of static files: what the page loads beside a model.
RUNTIME = (
    "lib/onnxruntime-web/ort-wasm-simd-threaded.wasm.gz",
    "lib/onnxruntime-web/ort.wasm.bundle.min.js",
    "live/classifier.js",
    "live/download.js",
    "live/wordpiece.js",
)
# One of each topic, from the invented sample (`laghu.sample`): none is taken from a publication.
EXAMPLES = (
    "अटीतटीच्या फुटबॉल सामन्यात महाराष्ट्र संघाने कर्नाटक संघाला नमवले",
    "पवनझेप मोटर्सने चार हजार गाड्या परत मागवल्या, बॅटरीमध्ये आढळला दोष",
    "संत ज्ञानेश्वर यांच्या पालखीचे कोल्हापुरात रविवारी उत्साहात स्वागत",
    "बंद घराचे कुलूप तोडून बारा मोबाइल लंपास, ठाण्यातील घटना",
    "दहावीच्या परीक्षेचा निकाल पुढील आठवड्यात जाहीर होणार, नागरिकांमध्ये चर्चा",
    "पावसाळ्यात इरकली साडीची फॅशन, कोल्हापुरी ठुशी वाढवेल सौंदर्य",
    "मधुमेहाची ही पाच लक्षणे दिसताच डॉक्टरांचा सल्ला घ्या",
    "ऑस्ट्रेलियासोबत भारताचा मुक्त व्यापार करार, नव्या वर्षात स्वाक्षऱ्या होणार",
    "'लाटांचे गणित' चित्रपटाची आठ दिवसांत ५० कोटी रुपयांची कमाई",
    "पीकविम्याच्या प्रश्नावर प्रादेशिक पक्षाचा शनिवारी मंत्रालयावर मोर्चा",
    "दळणवळण उपग्रहाचे गुरुवारी यशस्वी प्रक्षेपण, शास्त्रज्ञांचा जल्लोष",
    "सलग सुट्ट्यांमुळे ताडोबाला पर्यटकांची गर्दी, घाटात वाहतूक कोंडी",
)
# Labels whose names are Marathi.
_IN_ENGLISH = {"Bhakti": "devotion", "Manoranjan": "entertainment"}

_PAGE = """\
<div class="laghu-live">
<p class="laghu-on-paper">On paper no model runs. On a screen, this is where a headline is typed and its topic
guessed.</p>
<p class="laghu-live-without noprint">The model is run by a script, which did not start: scripts are off in this
browser, or it is too old. The rest of this page reads without.</p>
<p class="laghu-live-from-a-file" hidden>This page was opened from a folder, and browsers let no page read files from
there. Serve the folder, and the model can be loaded: run <code>python -m http.server</code> in the folder that holds
the book's <code>index.html</code>, then open <code>http://localhost:8000</code>.</p>
<div class="laghu-live-start" hidden>
<button type="button" class="laghu-live-load" {small}>Load the model ({first})</button>
<p>Then it runs in this page, without network. What you type does not leave it.</p>
</div>
<div class="laghu-live-progress" hidden>
<label for="laghu-live-progress">Loading</label>
<progress id="laghu-live-progress" value="0" max="1"></progress>
</div>
<p class="laghu-live-error" role="alert" hidden></p>
<div class="laghu-live-work" hidden>
<div class="laghu-live-input">
<label for="laghu-live-headline">A Marathi headline</label>
<textarea id="laghu-live-headline" lang="mr" rows="2" autocomplete="off" autocapitalize="off" spellcheck="false"
></textarea>
<label for="laghu-live-example">Or pick an invented one</label>
<select id="laghu-live-example" lang="mr" autocomplete="off">
<option value="" lang="en">Pick …</option>
{examples}
</select>
<button type="button" class="laghu-live-clear">Clear</button>
</div>
<div class="laghu-live-said" role="status" aria-live="polite"><p></p><ul></ul></div>
<table class="laghu-live-topics">
<thead><tr><th scope="col">Topic</th>
<th scope="col" data-of="small">Small model <span class="laghu-live-time"></span></th>
<th scope="col" data-of="teacher" hidden>Its teacher <span class="laghu-live-time"></span></th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
{second}
<div class="laghu-live-read" data-of="small"><p></p><ol></ol></div>
<div class="laghu-live-read" data-of="teacher" hidden><p></p><ol></ol></div>
</div>
</div>
"""
_SHARE = '<div><span class="laghu-live-bar"></span><span class="laghu-live-share"></span></div>'
_ROW = f"""\
<tr><th scope="row">{{label}}</th>
<td data-of="small">{_SHARE}</td><td data-of="teacher" hidden>{_SHARE}</td></tr>
"""
_SECOND = """\
<button type="button" class="laghu-live-load" {teacher}>Load its teacher beside it ({size})</button>
"""


def skeleton(made: Manifest, static: Path) -> str:
    """The page's part that the script brings to life, as HTML.

    Args:
        static: the folder of static files, whose sizes the button sums.
    """
    runtime = sum((static / name).stat().st_size for name in RUNTIME)
    return _PAGE.format(
        small=_attributes("small", made.small, made.small.bytes + runtime),
        first=megabytes(made.small.bytes + runtime),
        examples="\n".join(f"<option>{html.escape(text)}</option>" for text in EXAMPLES),
        rows="".join(_ROW.format(label=_topic(label)) for label in made.labels),
        second="" if made.teacher is None else _SECOND.format(
            teacher=_attributes("teacher", made.teacher, made.teacher.bytes), size=megabytes(made.teacher.bytes)),
    )


def megabytes(count: int) -> str:
    """Bytes as running text has them, in units of 10^6."""
    return f"{count / 1e6:.1f}\N{NO-BREAK SPACE}MB"


def _attributes(name: str, model: Model, size: int) -> str:
    """What the script has to know of a model. The digests keep a browser from joining files of two versions."""
    urls: Iterable[tuple[str, str]] = (
        (kind, f"{file.name}?v={file.sha256[:8]}")
        for kind, file in (("weights", model.weights), ("vocabulary", model.vocabulary))
    )
    given = {"model": name, "bytes": str(size), **dict(urls)}
    return " ".join(f'data-{key}="{html.escape(value)}"' for key, value in given.items())


def _topic(label: str) -> str:
    meaning = _IN_ENGLISH.get(label)
    return html.escape(label) + (f' <span class="laghu-live-meaning">{meaning}</span>' if meaning else "")
