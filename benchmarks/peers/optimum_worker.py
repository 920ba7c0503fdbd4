"""Labels by Optimum's ONNX export in Optimum's pipeline, for `laghu.benchmark.peers.optimum_onnx`.

    python optimum_worker.py FOLDER MAX_LENGTH BATCH_SIZE [THREADS]

Run it in an environment of its own (requirements.txt). It prints a line of JSON with its versions when it is ready.
Then, for every line on standard input, a JSON list of texts, it prints a JSON list of their labels.
"""

import json
import os
import platform
import sys
from importlib import metadata

LIBRARIES = ("optimum", "optimum-onnx", "onnx", "onnxruntime", "transformers", "tokenizers", "torch")


def main(folder: str, max_length: str, batch_size: str, threads: str = "0") -> None:
    # What libraries print must not get between the answers: it goes where notes go.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    classify = load(folder, int(max_length), int(batch_size), int(threads))
    versions = {"python": platform.python_version(), **{name: metadata.version(name) for name in LIBRARIES}}
    print(json.dumps(versions), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(classify(json.loads(line))), file=answers, flush=True)


def load(folder: str, max_length: int, batch_size: int, threads: int):
    """Lists of texts to lists of labels; 0 threads: as ONNX Runtime decides."""
    from onnxruntime import SessionOptions
    from optimum.onnxruntime import ORTModelForSequenceClassification, pipeline
    from transformers import PreTrainedTokenizerFast

    options = SessionOptions()
    options.intra_op_num_threads = threads
    model = ORTModelForSequenceClassification.from_pretrained(folder, export=True, session_options=options)
    # Not AutoTokenizer: the class that transformers 5 names in tokenizer_config.json is unknown to transformers 4.
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    ready = pipeline("text-classification", model=model, tokenizer=tokenizer, batch_size=batch_size)

    def classify(texts: list[str]) -> list[str]:
        if not texts:  # which a pipeline does not survive
            return []
        return [each["label"] for each in ready(texts, truncation=True, max_length=max_length)]

    return classify


if __name__ == "__main__":
    main(*sys.argv[1:])
