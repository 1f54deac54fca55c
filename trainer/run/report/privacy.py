"""What a run's privacy is, in words: for its report, and for the model card."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import Any

from trainer.metrics.display import format_score, metric_title

Record = dict[str, Any]

_ACCOUNTANTS = {"prv": "PRV", "rdp": "Rényi (RDP)"}

GUARANTEE = (
    "So the probability of any outcome of the training differs by a factor of at most e^ε, but for a probability of δ,"
    " whether a certain row was among the training rows or not. A row is one line of the training file; of somebody who"
    " wrote k of them, ε is about k times as large."
)
COVERED = (
    "ε covers what the weights tell of the training rows. It does not cover: the validation rows, which chose the"
    " checkpoint and fitted thresholds, scores and int8 scales; the test rows, of which `golden.jsonl` holds some as"
    " text; the figures of an attack, which are sums over training rows; the names of the labels; the number of"
    " training rows; the choice of this recipe among others; and what the base model has learned before. The run's own"
    " folder has figures without noise, such as training losses and hashes of the rows: publish the bundle, not the"
    " run."
)
RANDOMNESS = (
    "Noise and batches begin with 128 bits of the operating system's randomness, which are stored nowhere: nobody can"
    " subtract the noise, and nobody can repeat the training to the same weights. The generator (numpy's PCG64) is not"
    " a cryptographic one, and attacks on the rounding of floating-point noise are not prevented."
)
NO_PROOF = (
    "The attacker knows a text and its label, and guesses by the model's loss on it (Yeom et al. 2018): 0.5 is a coin,"
    " about 0.6 means that the model behaves visibly otherwise on its training rows, 1 that it gives each of them away."
    " Attacks with shadow models (LiRA) are stronger, so a low figure is no proof of privacy."
)


def privacy_lines(privacy: Record | None, score: str) -> list[str]:
    """Paragraphs on the guarantee; ``score`` is the test metric with its interval."""
    if not privacy:
        return []
    return [
        f"The training was differentially private (DP-SGD): **ε = {_upwards(privacy['epsilon'], 3)} at δ ="
        f" {_upwards(privacy['delta'], 2)}**"
        f" by the {_ACCOUNTANTS[privacy['accountant']]} accountant; {score}. Each of {privacy['steps']:,}"
        f" steps drew each of {privacy['rows']:,} rows with a probability of {privacy['sample_rate']:.4g}, clipped the"
        f" gradient of each drawn row to a norm of {privacy['max_grad_norm']:g}, and added noise of"
        f" {privacy['noise_multiplier']:.3g} times that to their sum.",
        GUARANTEE,
        COVERED,
        RANDOMNESS,
    ]


def describe_score(metric: str, figures: Record) -> str:
    """Such as ``test accuracy was 91.20%``, with its interval."""
    words = f"test {metric_title(metric)} was {format_score(metric, figures[metric])}"
    interval = figures.get(f"{metric}_interval_95")
    return words + (f" (95 %: {' – '.join(format_score(metric, end) for end in interval)})" if interval else "")


def membership_table(membership: Record) -> tuple[list[str], list[list[str]]]:
    """Headings, and a row for each attack."""
    rows = [
        [
            f"by {name}",
            _with_interval(figures, "auc", "{:.3f}"),
            _with_interval(figures, "true_positive_rate", "{:.1%}"),
        ]
        for name, figures in membership["attacks"].items()
    ]
    if bound := membership.get("bound"):
        share = f"at most {bound['true_positive_rate']:.1%}"
        rows.append(["any attack, by ε and δ", f"at most {bound['auc']:.3f}", share])
    return ["attack", "AUC (95 %)", "training rows found at 1 % false alarms (95 %)"], rows


def membership_lines(membership: Record) -> list[str]:
    """Paragraphs on the attack; where it could not be made, why."""
    mine, others = membership["rows"]
    if not membership["attacks"]:
        return [f"Membership inference was not tried: {mine} training and {others} other rows are too few."]
    source = (
        "drawn from the same file" if membership["same_file"]
        else "from another file: they may differ from the training rows for other reasons than the training"
    )  # fmt: skip
    losses = " and ".join(f"{loss:.4f}" for loss in membership["mean_losses"])
    return [
        f"Of {mine:,} training rows and {others:,} others, {source}; their mean losses are {losses}."
        f" {_verdict(membership)} {NO_PROOF}"
    ]


def _verdict(membership: Record) -> str:
    low = max(figures["auc_interval_95"][0] for figures in membership["attacks"].values())
    if low <= 0.5:
        return "This attack is not shown to do better than guessing."
    if low < 0.6:
        return "This attack does a little better than guessing."
    return "The model remembers its training rows: this attack tells them from others."


def _upwards(value: float, digits: int) -> str:
    """A bound is not rounded down."""
    number = Decimal(value)
    step = Decimal(1).scaleb(number.adjusted() - digits + 1)
    return f"{float(number.quantize(step, ROUND_CEILING)):.{digits}g}"


def _with_interval(figures: Record, name: str, form: str) -> str:
    if name not in figures:
        return "too few rows"
    ends = " – ".join(form.format(end) for end in figures[f"{name}_interval_95"])
    return f"{form.format(figures[name])} ({ends})"
