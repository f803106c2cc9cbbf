"""scikit-learn's logistic regression on the mean of the base model's last hidden states, as they are or of length 1."""

import numpy as np
import torch
from peers import by_length, encode, pad, read_rows, runs, say
from sklearn.linear_model import LogisticRegression
from transformers import AutoModel

MAX_LENGTH = 256
ROWS = 64
MAX_ITERATIONS = 5000

models: dict[str, torch.nn.Module] = {}
embedded: dict[tuple[str, str], np.ndarray] = {}


def embed(base: str, texts: list[str]) -> np.ndarray:
    """`[texts, hidden]`; a text that was embedded before is not embedded again."""
    if base not in models:
        models[base] = AutoModel.from_pretrained(base).eval()
    new = sorted({text for text in texts if (base, text) not in embedded})
    rows = encode(base, new, MAX_LENGTH)
    for part in by_length(rows, ROWS):
        batch = pad([rows[i] for i in part])
        with torch.no_grad():
            hidden = models[base](**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1)
        means = (hidden * mask).sum(1) / mask.sum(1)
        embedded.update({(base, new[i]): mean.numpy() for i, mean in zip(part, means)})
    return np.stack([embedded[base, text] for text in texts]).astype(np.float64)


def fit(run: dict) -> dict:
    torch.set_num_threads(run["threads"])
    texts, labels = read_rows(run["training"], run["labels"])
    test_texts, _ = read_rows(run["test"], run["labels"])
    x, test_x = embed(run["base"], texts), embed(run["base"], test_texts)
    if run["peer"]["normalized"]:
        x, test_x = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (x, test_x))
    model = LogisticRegression(max_iter=MAX_ITERATIONS).fit(x, labels)
    return {
        "tested": [{"epoch": 1, "logits": model.predict_log_proba(test_x).tolist()}],
        "epochs": [],
        "trainable_parameters": int(model.coef_.size + model.intercept_.size),
        "trained_tokens": 0,
        "tokens_per_second": None,
        "peak_bytes": None,
    }


for each in runs():
    say({"type": "done", **fit(each)})
