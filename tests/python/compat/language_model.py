"""mlx-lm with tiny random llama and qwen3 models: load from safetensors, generate greedily, quantize, train a LoRA step.

The first run writes the models into the folder, the second reads the same files.
"""

import json
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
from mlx.utils import tree_flatten, tree_map
from mlx_lm.generate import generate_step
from mlx_lm.models import llama, qwen3
from mlx_lm.tuner.trainer import default_loss
from mlx_lm.tuner.utils import linear_to_lora_layers
from mlx_lm.utils import load_model, quantize_model, save_model

COMMON = dict(hidden_size=64, num_hidden_layers=2, intermediate_size=128, num_attention_heads=4, num_key_value_heads=2, head_dim=32,
              rms_norm_eps=1e-5, vocab_size=151, rope_theta=10000.0, max_position_embeddings=256)
MODELS = {
    "llama": (llama, dict(COMMON, model_type="llama", tie_word_embeddings=False, rope_scaling={
        "rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64})),
    "qwen3": (qwen3, dict(COMMON, model_type="qwen3", tie_word_embeddings=True)),
}
LORA = dict(rank=4, scale=8.0, dropout=0.0)


def write(folder, kind):
    module, config = MODELS[kind]
    mx.random.seed(17)
    model = module.Model(module.ModelArgs.from_dict(config))
    # Larger weights than a fresh layer's: the tokens differ clearly in probability.
    model.update(tree_map(lambda p: 4.0 * p if p.ndim > 1 else p, model.parameters()))
    save_model(folder, model)
    (folder / "config.json").write_text(json.dumps(config))


def tokens(model, n=24, **options):
    out = list(generate_step(mx.array([3, 1, 4, 1, 5, 9, 2, 6]), model, max_tokens=n, **options))
    return {"tokens": [int(t) for t, _ in out], "logprobs": [mx.max(p).item() for _, p in out]}


def lora_step(model, dtype=None):
    """Two steps of Adam on the adapters alone; then what the model says."""
    mx.random.seed(23)
    model.freeze()
    linear_to_lora_layers(model, 2, LORA)
    model.train()
    batch, lengths = mx.random.randint(0, 151, (2, 12)), mx.array([[1, 11], [1, 8]])
    # A large eps: where a gradient is rounding alone, its sign must not decide the step.
    optimizer = optim.Adam(learning_rate=1e-2, eps=1e-3)
    step = nn.value_and_grad(model, default_loss)
    losses = []
    for _ in range(3):
        (loss, count), grads = step(model, batch, lengths)
        optimizer.update(model, grads)
        mx.eval(model.parameters(), optimizer.state)
        losses.append([loss.item(), count.item()])
    names = sorted(k for k, _ in tree_flatten(model.trainable_parameters()))
    model.eval()
    return {"losses": losses, "trained": names, **tokens(model)}


def main(folder):
    found = {}
    for kind in MODELS:
        path = Path(folder) / kind
        if not path.exists():
            write(path, kind)
        model, config = load_model(path)
        found[kind] = tokens(model)
        found[kind + " short prefill"] = tokens(model, prefill_step_size=3)
        found[kind + " quantized cache"] = tokens(model, kv_bits=8, kv_group_size=32, quantized_kv_start=4)
        found[kind + " rotating cache"] = tokens(model, max_kv_size=16)
        found[kind + " lora"] = lora_step(model)
        for bits, mode in ((4, "affine"), (8, "affine"), (4, "mxfp4")):
            model, config = load_model(path)
            size = 32 if mode == "mxfp4" else 64
            model, config = quantize_model(model, config, size, bits, mode)
            quantized = Path(folder) / f"{kind}-{mode}-{bits}"
            if not quantized.exists():
                save_model(quantized, model)
                (quantized / "config.json").write_text(json.dumps(config))
            found[f"{kind} {mode} {bits} bits"] = tokens(model)
            model, config = load_model(quantized)
            found[f"{kind} {mode} {bits} bits from file"] = tokens(model)
        found[kind + " quantized lora"] = lora_step(load_model(Path(folder) / f"{kind}-affine-4")[0])
    return found
