"""What old configurations called the settings: the words of the first version and of its second."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dexml.models.sequence.config import SECTIONS, settings_of

__all__ = ["CLASSES", "GONE", "GROUPS", "NAMES", "VALUES", "Conversion", "fallback"]

# Sections and groups that held settings; which one does not matter, the names are enough.
GROUPS = frozenset(
    {
        *("model", "network", "architecture", "cnn", "conv", "lstm", "rnn", "model_config"),
        *("modelconfig", "modelconfigv2", "model_config_v2", "hybrid_cnn_lstm"),
        *("trainer", "training", "train", "trainer_config", "training_config", "trainerconfig"),
        *("trainerconfigv2", "trainer_config_v2", "optimizer", "optim", "early_stopping"),
        *("data", "dataset", "data_config", "dataconfig", "dataconfigv2"),
        *("balancing", "class_balancing", "balancing_config", "loss", "focal_loss"),
        *("classbalancingconfig", "classbalancingconfigv2"),
    }
)

CLASSES = ("class", "_class", "__class__", "_target_", "config_class", "version", "config_version")

_OLD: Mapping[str, tuple[str, ...]] = {
    "model.cnn_channels": ("cnn_filters", "conv_channels", "conv_filters", "filters", "channels"),
    "model.kernel_size": ("cnn_kernel_size", "conv_kernel_size", "kernel", "kernel_sizes"),
    "model.lstm_hidden": ("hidden_size", "lstm_hidden_size", "hidden_dim", "lstm_units", "hidden"),
    "model.lstm_layers": ("num_layers", "lstm_num_layers", "num_lstm_layers", "n_layers"),
    "model.dropout": ("dropout_rate", "dropout_prob", "lstm_dropout", "cnn_dropout"),
    "trainer.epochs": ("num_epochs", "n_epochs", "max_epochs"),
    "trainer.batch_size": ("batch", "train_batch_size"),
    "trainer.learning_rate": ("lr", "initial_lr", "base_lr"),
    "trainer.weight_decay": ("wd", "l2", "l2_regularization"),
    "trainer.patience": ("early_stopping_patience", "early_stop_patience"),
    "trainer.gradient_clip": (
        "grad_clip",
        "max_grad_norm",
        "clip_grad_norm",
        "gradient_clip_value",
    ),
    "trainer.precision": ("use_amp", "mixed_precision", "use_mixed_precision", "amp"),
    "trainer.compile": ("use_compile", "torch_compile", "compile_model"),
    "trainer.device": (),
    "data.sequence_length": ("seq_len", "seq_length", "window", "window_size", "lookback"),
    "data.validation_share": ("val_split", "validation_split", "val_ratio", "validation_ratio"),
    "balancing.focal_gamma": ("gamma", "focal_loss_gamma", "use_focal_loss"),
    "balancing.method": (
        "class_weights",
        "class_weight",
        "use_class_weights",
        "class_weight_method",
    ),
    "balancing.beta": ("effective_beta", "cb_beta", "class_balanced_beta"),
}


def _names() -> dict[str, str]:
    now = {
        one.name: f"{section}.{one.name}"
        for section, kind in SECTIONS.items()
        for one in settings_of(kind)
    }
    return now | {old: setting for setting, olds in _OLD.items() for old in olds}


NAMES: Mapping[str, str] = _names()
"""Setting by the name of it, old or new."""

_BY_DATA = "it follows from the columns of the panel"
GONE: Mapping[str, str] = {
    **dict.fromkeys(("input_size", "input_dim", "num_features", "n_features"), _BY_DATA),
    **dict.fromkeys(("input_features", "input_channels", "feature_dim"), _BY_DATA),
    **dict.fromkeys(("num_classes", "n_classes", "output_size"), "there is one log-odds"),
    **dict.fromkeys(("seed", "random_seed", "random_state"), "it is models.seed of dexml.toml now"),
    **dict.fromkeys(
        ("train_split", "train_ratio", "test_split", "test_ratio", "n_splits"),
        "folds are blocks of time, the same for all members of the ensemble",
    ),
    **dict.fromkeys(("shuffle", "shuffle_train"), "training windows always are, blocks never"),
    **dict.fromkeys(("num_workers", "pin_memory", "prefetch_factor"), "windows are not copied"),
    **dict.fromkeys(("optimizer", "optimizer_name", "optimizer_type"), "AdamW is the only one"),
    **dict.fromkeys(("loss", "loss_type", "loss_function", "criterion"), "see focal_gamma"),
    **dict.fromkeys(
        ("scheduler", "lr_scheduler", "use_scheduler", "warmup_epochs", "warmup_steps"),
        "the learning rate is constant",
    ),
    **dict.fromkeys(("bidirectional", "use_attention", "attention_heads"), "the network has none"),
    **dict.fromkeys(("use_batch_norm", "batch_norm"), "convolutions always have it"),
    **dict.fromkeys(
        ("label_smoothing", "use_augmentation", "augmentation", "mixup_alpha"), "there is none"
    ),
    **dict.fromkeys(("use_oversampling", "oversample", "use_undersampling"), "classes are weighed"),
    **dict.fromkeys(("focal_alpha", "alpha"), "classes are weighed by balancing.method"),
    **dict.fromkeys(
        ("checkpoint_dir", "save_dir", "save_best_only", "log_interval", "verbose", "log_dir"),
        "who starts a fit says where its checkpoints are",
    ),
    **dict.fromkeys(("stride", "target", "prediction_horizon", "horizon"), "it is of the target"),
}
"""Names that have no setting any more, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """How an old value is said now, and in which words the report tells it."""

    applies: Callable[[Any], bool]
    now: Callable[[Any], Any]


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool)


VALUES: Mapping[str, tuple[Conversion, ...]] = {
    "trainer.precision": (
        Conversion(applies=_is_switch, now=lambda on: "auto" if on else "float32"),
        Conversion(
            applies=lambda text: text in ("fp16", "float16", "bfloat16"), now=lambda _text: "bf16"
        ),
        Conversion(
            applies=lambda text: text in ("fp32", "no", "none"), now=lambda _text: "float32"
        ),
    ),
    "balancing.method": (
        Conversion(applies=_is_switch, now=lambda on: "balanced" if on else "none"),
        Conversion(applies=lambda value: value is None, now=lambda _none: "none"),
        Conversion(
            applies=lambda text: text in ("inverse", "inverse_frequency", "auto"),
            now=lambda _text: "balanced",
        ),
        Conversion(applies=lambda text: text == "effective", now=lambda _text: "effective_number"),
    ),
    "model.kernel_size": (
        Conversion(
            applies=lambda sizes: isinstance(sizes, list) and len(set(map(str, sizes))) == 1,
            now=lambda sizes: sizes[0],
        ),
    ),
    "trainer.device": (
        Conversion(
            applies=lambda text: isinstance(text, str) and text.startswith("cuda:"),
            now=lambda _text: "cuda",
        ),
    ),
}


def fallback(leaf: str, value: Any) -> tuple[bool, Any]:
    """Return whether a switch stands for another setting's default, and the value that it means.

    `use_focal_loss = true` leaves gamma to its default, `false` means that gamma is 0.

    Examples
    --------
    >>> fallback("use_focal_loss", True), fallback("use_focal_loss", False), fallback("gamma", 2.0)
    ((True, None), (False, 0.0), (False, 2.0))
    """
    if leaf == "use_focal_loss" and isinstance(value, bool):
        return (True, None) if value else (False, 0.0)
    return False, value
