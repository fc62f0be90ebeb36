"""The same work in PyTorch, for the benchmarks: one JSON request a line on standard input, one JSON answer a line on standard output.

A plain Llama with scaled_dot_product_attention and a key-value cache, f32, on the CPU, as a careful person would write it; nothing of
it is imported from elsewhere, so that only torch must be installed. Times are of the work alone, in milliseconds.
"""

import json
import struct
import sys
import time

try:
    import torch
    import torch.nn.functional as F
except ImportError as error:
    print(json.dumps({"missing": str(error)}), flush=True)
    sys.exit(0)


def read_safetensors(path):
    with open(path, "rb") as file:
        data = bytearray(file.read())
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size].decode())
    tensors = {}
    types = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        start, end = entry["data_offsets"]
        flat = torch.frombuffer(data, dtype=types[entry["dtype"]], count=(end - start) // types[entry["dtype"]].itemsize, offset=8 + size + start)
        tensors[name] = flat.reshape(entry["shape"]).float()
    return tensors


class Llama:
    def __init__(self, folder, positions):
        with open(f"{folder}/config.json") as file:
            config = json.load(file)
        if config["model_type"] != "llama" or config.get("rope_scaling"):
            raise ValueError("the peer runs plain Llama models only")
        tensors = read_safetensors(f"{folder}/model.safetensors")
        self.layers = config["num_hidden_layers"]
        self.heads = config["num_attention_heads"]
        self.kv_heads = config.get("num_key_value_heads") or self.heads
        self.hidden = config["hidden_size"]
        self.head_dim = config.get("head_dim") or self.hidden // self.heads
        self.eps = config["rms_norm_eps"]
        self.embed = tensors["model.embed_tokens.weight"]
        self.head = tensors.get("lm_head.weight", self.embed)
        self.norm = tensors["model.norm.weight"]
        self.blocks = []
        for layer in range(self.layers):
            at = f"model.layers.{layer}."
            take = lambda name: tensors[at + name + ".weight"]
            self.blocks.append(
                {
                    "norm1": take("input_layernorm"),
                    "norm2": take("post_attention_layernorm"),
                    "qkv": torch.cat([take("self_attn.q_proj"), take("self_attn.k_proj"), take("self_attn.v_proj")]),
                    "o": take("self_attn.o_proj"),
                    "gate_up": torch.cat([take("mlp.gate_proj"), take("mlp.up_proj")]),
                    "down": take("mlp.down_proj"),
                }
            )
        angles = config["rope_theta"] ** (-torch.arange(0, self.head_dim, 2).double() / self.head_dim)
        table = torch.outer(torch.arange(positions).double(), angles).float()
        self.cos = torch.cat([table, table], -1).cos()
        self.sin = torch.cat([table, table], -1).sin()

    def rms(self, x, weight):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * weight

    def rotate(self, x, start):
        cos, sin = self.cos[start : start + x.shape[-2]], self.sin[start : start + x.shape[-2]]
        half = x.shape[-1] // 2
        return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin

    def states(self, ids, past=None, start=0, keep=False, depth=None, on_z=None):
        """Residual stream after the last norm; ids is [batch, T]. past: by layer (k, v) of [batch or 1, kv, start, head_dim].

        on_z(layer, z) may read or return what takes the place of z, [batch, T, heads * head_dim]. depth: layers to run.
        """
        batch, length = ids.shape
        x = self.embed[ids]
        kept = []
        for layer, block in enumerate(self.blocks[:depth]):
            q, k, v = (self.rms(x, block["norm1"]) @ block["qkv"].T).split(
                [self.heads * self.head_dim, self.kv_heads * self.head_dim, self.kv_heads * self.head_dim], -1
            )
            q = self.rotate(q.view(batch, length, self.heads, self.head_dim).transpose(1, 2), start)
            k = self.rotate(k.view(batch, length, self.kv_heads, self.head_dim).transpose(1, 2), start)
            v = v.view(batch, length, self.kv_heads, self.head_dim).transpose(1, 2)
            if past is not None:
                before_k, before_v = past[layer]
                k = torch.cat([before_k.expand(batch, -1, -1, -1), k], 2)
                v = torch.cat([before_v.expand(batch, -1, -1, -1), v], 2)
            if keep:
                kept.append((k, v))
            all_k, all_v = k, v
            if self.kv_heads != self.heads:
                all_k = k.repeat_interleave(self.heads // self.kv_heads, 1)
                all_v = v.repeat_interleave(self.heads // self.kv_heads, 1)
            if past is None or length == 1:
                z = F.scaled_dot_product_attention(q, all_k, all_v, is_causal=past is None and length > 1)
            else:
                mask = torch.ones(length, k.shape[2], dtype=torch.bool).tril(start)
                z = F.scaled_dot_product_attention(q, all_k, all_v, attn_mask=mask)
            z = z.transpose(1, 2).reshape(batch, length, -1)
            if on_z is not None:
                changed = on_z(layer, z)
                if changed is not None:
                    z = changed
            if depth is not None and layer == depth - 1:
                return None, kept
            x = x + z @ block["o"].T
            gate, up = (self.rms(x, block["norm2"]) @ block["gate_up"].T).chunk(2, -1)
            x = x + (F.silu(gate) * up) @ block["down"].T
        return self.rms(x, self.norm), kept

    def logprobs(self, states, targets):
        """ln p of targets [..., n] given states [..., n, hidden]."""
        logits = states @ self.head.T
        return logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1) - logits.logsumexp(-1)


def padded(rows):
    longest = max(len(row) for row in rows)
    return torch.tensor([row + [0] * (longest - len(row)) for row in rows])


class Tasks:
    model = None

    def load(self, folder, positions, threads):
        """Takes as many threads as are fastest right now, as our engines do: on a busy machine fewer are better."""
        self.model = Llama(folder, positions)
        ids = torch.tensor([[5] * 64])

        def fastest(count):
            torch.set_num_threads(count)
            self.model.states(ids)
            times = []
            for _ in range(5):
                began = time.perf_counter()
                self.model.states(ids)
                times.append(time.perf_counter() - began)
            return sorted(times)[2]

        best = min(range(1, threads + 1), key=fastest)
        torch.set_num_threads(best)
        return {"version": torch.__version__, "threads": best}

    def score_full(self, texts, prompt_lengths):
        """One forward pass a text with logits at all positions: the published way."""
        sums = []
        for ids, prompt in zip(texts, prompt_lengths):
            states, _ = self.model.states(torch.tensor([ids]))
            values = self.model.logprobs(states[:, :-1], torch.tensor([ids[1:]]))
            sums.append(values[0, prompt - 1 :].sum().item())
        return {"sums": sums}

    def score_shared(self, primer, texts, prompt_lengths, batch):
        """Keys and values of the primer once, then batches of texts padded to the right; logits of answers alone."""
        model = self.model
        start = len(primer)
        _, past = model.states(torch.tensor([primer]), keep=True)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        sums = [0.0] * len(texts)
        for at in range(0, len(order), batch):
            members = order[at : at + batch]
            rows = [texts[i][start:] for i in members]
            states, _ = model.states(padded(rows), past=past, start=start)
            picked, targets, owner = [], [], []
            for row, i in enumerate(members):
                first = prompt_lengths[i] - start - 1
                last = len(rows[row]) - 1
                picked.append(states[row, first:last])
                targets.extend(rows[row][first + 1 : last + 1])
                owner.extend([i] * (last - first))
            values = model.logprobs(torch.cat(picked), torch.tensor(targets))
            for i, value in zip(owner, values.tolist()):
                sums[i] += value
        return {"sums": sums}

    def capture_single(self, texts):
        """z of all heads at the last token, a whole forward pass a text with logits of all positions: the published way."""
        checks = []
        for ids in texts:
            found = []
            states, _ = self.model.states(torch.tensor([ids]), on_z=lambda layer, z: found.append(z[0, -1].clone()))
            _ = states @ self.model.head.T
            checks.append(torch.stack(found).sum().item())
        return {"sums": checks}

    def capture_batched(self, texts, batch):
        """The same in batches of like length, padded to the right, and no deeper than needed: the better way."""
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        checks = [0.0] * len(texts)
        for at in range(0, len(order), batch):
            members = order[at : at + batch]
            lasts = torch.tensor([len(texts[i]) - 1 for i in members])
            rows = torch.arange(len(members))
            found = []
            ids = padded([texts[i] for i in members])
            self.model.states(ids, depth=self.model.layers, on_z=lambda layer, z: found.append(z[rows, lasts]))
            for i, value in zip(members, torch.stack(found).sum((0, 2)).tolist()):
                checks[i] = value
        return {"sums": checks}

    def generate(self, prompt, tokens, layer, vector, strengths, together):
        """Greedy continuations with strength x vector added to z of one layer from the last prompt token on, by strength."""
        push = torch.tensor(vector)
        groups = [strengths] if together else [[strength] for strength in strengths]
        out = []
        for group in groups:
            scale = torch.tensor(group).view(-1, 1, 1)

            def edit(at, z):
                if at != layer:
                    return None
                z = z.clone()
                z[:, -1:] += scale * push
                return z

            ids = torch.tensor([prompt]).expand(len(group), -1)
            states, past = self.model.states(ids, keep=True, on_z=edit)
            rows = []
            for step in range(tokens):
                token = (states[:, -1] @ self.model.head.T).argmax(-1)
                rows.append(token)
                if step + 1 < tokens:
                    states, past = self.model.states(token.unsqueeze(1), past=past, start=len(prompt) + step, keep=True, on_z=edit)
            out.extend(torch.stack(rows, 1).tolist())
        return {"tokens": out}


def main():
    tasks = Tasks()
    print(json.dumps({"ready": torch.__version__}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        task = request.pop("task")
        try:
            with torch.inference_mode():
                began, used = time.perf_counter(), time.process_time()
                answer = getattr(tasks, task)(**request)
                answer["wall"] = 1000 * (time.perf_counter() - began)
                answer["cpu"] = 1000 * (time.process_time() - used)
        except Exception as error:  # the other side says what it means
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main()
