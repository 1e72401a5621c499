"""Tiny random models of many architectures of mlx-lm: experts, windows, state spaces, gated deltas, latent attention.

Each generates greedily from its own weights, and from weights of 4 bits where the layers allow it.
"""

import importlib

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_map
from mlx_lm.generate import generate_step

COMMON = dict(vocab_size=97, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
              rms_norm_eps=1e-5)
MODELS = {
    "mixtral": dict(num_experts_per_tok=2, num_local_experts=4),
    "gemma2": dict(head_dim=32, query_pre_attn_scalar=32.0),
    "gemma3_text": dict(head_dim=32, sliding_window=8, sliding_window_pattern=2),
    "phi3": dict(partial_rotary_factor=0.5),
    "cohere2": dict(head_dim=16, sliding_window=8, sliding_window_pattern=2, layer_norm_eps=1e-5),
    "gpt_oss": dict(num_local_experts=4, num_experts_per_tok=2, head_dim=16, sliding_window=8,
                    layer_types=["sliding_attention", "full_attention"], rope_scaling=None),
    "deepseek_v3": dict(moe_intermediate_size=32, n_shared_experts=1, n_routed_experts=4, kv_lora_rank=32, q_lora_rank=32, qk_rope_head_dim=16,
                        v_head_dim=16, qk_nope_head_dim=16, n_group=2, topk_group=1, num_experts_per_tok=2, first_k_dense_replace=1,
                        num_key_value_heads=4),
    "mamba2": dict(num_heads=4, head_dim=32, state_size=16, layer_norm_epsilon=1e-5, conv_kernel=4, n_groups=1, use_bias=False,
                   use_conv_bias=True, tie_word_embeddings=True, time_step_limit=(0.0, 10.0), time_step_rank="auto", intermediate_size=128),
    "qwen3_next": dict(linear_num_value_heads=4, linear_num_key_heads=2, linear_key_head_dim=32, linear_value_head_dim=32,
                       linear_conv_kernel_dim=4, num_experts=4, num_experts_per_tok=2, decoder_sparse_step=1,
                       shared_expert_intermediate_size=32, mlp_only_layers=[], moe_intermediate_size=32, rope_theta=10000.0,
                       partial_rotary_factor=0.5, max_position_embeddings=128, head_dim=32, full_attention_interval=2),
    "rwkv7": dict(norm_eps=1e-5, head_dim=32, a_low_rank_dim=8, v_low_rank_dim=8, gate_low_rank_dim=8, decay_low_rank_dim=8),
}


def greedy(model):
    out = list(generate_step(mx.array([5, 3, 8, 1, 9, 2, 7, 4, 6, 11, 30, 22]), model, max_tokens=10))
    return {"tokens": [int(t) for t, _ in out], "logprobs": [mx.max(p).item() for _, p in out]}


def main(folder):
    found = {}
    for kind, config in MODELS.items():
        module = importlib.import_module(f"mlx_lm.models.{kind}")
        mx.random.seed(29)
        model = module.Model(module.ModelArgs.from_dict({**COMMON, "model_type": kind, **config}))
        model.update(tree_map(lambda p: mx.random.normal(p.shape, scale=0.3 if p.ndim > 1 else 0.05, loc=0.0 if p.ndim > 1 else 0.5),
                              model.parameters()))
        model.eval()
        mx.eval(model.parameters())
        found[kind] = greedy(model)
        nn.quantize(model, 32, 4, class_predicate=lambda _, m: hasattr(m, "to_quantized") and m.weight.shape[-1] % 32 == 0)
        found[kind + " 4 bits"] = greedy(model)
    return found
