// Interventions at one point of one layer: edits, readings and patching sources, for every row of the batch and any subset
// of heads in one dispatch. One workgroup for one segment of one row; a segment is a head's slice, or the whole width where
// some node spans it, and runs its list of operations in the order of the document. What acts where is data, not code:
// strengths, vectors, gates and token selections are buffer contents, so nothing is compiled or bound again when they change.
// An operation that does not act leaves the row's bits alone, which is what makes strength 0 equal to no graph.
//   x        f32 [rows, stride]; the point's columns start at `column`
//   program  u32: segments (first op, end op) at `segments`; operations of 12 words at `ops`, see Op below
//   data     f32: vectors and masks; strengths [lanes, edits] at `strengths`
//   chosen   u32 [ring * rows, words + 3 * sources]: bit `node` says whether the row is selected for a node in its lane; then
//            for each source where to take it from, where to save it, and where to carry it (slot + 1, 0 = none)
//   state    u32: counts [lanes, edits]; readings [rows, reads, 2] at `readings`; held readings [slots, reads, 2] at `held`
//   saved    f32: rows kept for patching, [slots, width] for each source
// Grid (segments, rows). Counts are atomic because several rows of a lane may act at once.
//#include call
struct Params {
  stride: u32,
  column: u32,
  segments: u32,
  ops: u32,
  words: u32,
  sources: u32,
  edits: u32,
  reads: u32,
  strengths: u32,
  readings: u32,
  held: u32,
  pad: u32,
}
@group(0) @binding(1) var<uniform> p: Params;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;
@group(0) @binding(3) var<storage, read> program: array<u32>;
@group(0) @binding(4) var<storage, read> data: array<f32>;
@group(0) @binding(5) var<storage, read> chosen: array<u32>;
@group(0) @binding(6) var<storage, read> rows: array<vec4<u32>>;
@group(0) @binding(7) var<storage, read_write> state: array<atomic<u32>>;
@group(0) @binding(8) var<storage, read_write> saved: array<f32>;

const ADD = 0u;
const SCALE = 1u;
const ABLATE = 2u;
const CLAMP = 3u;
const CAP = 4u;
const SET = 5u;
const DOT = 6u;
const COSINE = 7u;
const NORM = 8u;
const SAVE = 9u;
const NONE = 0xffffffffu;

const WG = 64u;
var<workgroup> partial: array<vec3<f32>, WG>;
var<workgroup> open: u32;

struct Op {
  kind: u32,
  node: u32,
  start: u32,
  width: u32,
  // Offset in data, or NONE.
  vector: u32,
  // Column of an edit's strength and count, or index of a reading.
  column: u32,
  // Reading that gates an edit, or NONE; 1 above, 2 below, 4 held at the last prompt token.
  gate: u32,
  gate_flags: u32,
  above: f32,
  below: f32,
  // Source of a patching edit or of a SAVE, or NONE, and where its rows start in `saved`.
  source: u32,
  source_base: u32,
}

fn load_op(index: u32) -> Op {
  let at = p.ops + index * 12u;
  return Op(
    program[at], program[at + 1u], program[at + 2u], program[at + 3u], program[at + 4u], program[at + 5u],
    program[at + 6u], program[at + 7u], bitcast<f32>(program[at + 8u]), bitcast<f32>(program[at + 9u]),
    program[at + 10u], program[at + 11u],
  );
}

fn vector_at(op: Op, i: u32, from_slot: u32) -> f32 {
  if (op.source != NONE) {
    return saved[op.source_base + from_slot * op.width + i];
  }
  if (op.vector == NONE) {
    return 0.0;
  }
  return data[op.vector + i];
}

// (x.v, x.x, v.v) over a slice, the same in every invocation.
fn products(op: Op, at: u32, local: u32) -> vec3<f32> {
  var sum = vec3<f32>(0.0);
  for (var i = local; i < op.width; i += WG) {
    let a = x[at + i];
    let v = vector_at(op, i, 0u);
    sum += vec3<f32>(a * v, a * a, v * v);
  }
  partial[local] = sum;
  workgroupBarrier();
  var total = vec3<f32>(0.0);
  for (var i = 0u; i < WG; i += 1u) {
    total += partial[i];
  }
  workgroupBarrier();
  return total;
}

fn gate_open(op: Op, row: u32, slot: u32) -> u32 {
  if (op.gate == NONE) {
    return 1u;
  }
  var at = p.readings + (row * p.reads + op.gate) * 2u;
  if ((op.gate_flags & 4u) != 0u) {
    at = p.held + (slot * p.reads + op.gate) * 2u;
  }
  if (atomicLoad(&state[at]) == 0u) {
    return 0u;
  }
  let value = bitcast<f32>(atomicLoad(&state[at + 1u]));
  let above = (op.gate_flags & 1u) == 0u || value > op.above;
  let below = (op.gate_flags & 2u) == 0u || value < op.below;
  return select(0u, 1u, above && below);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let row = rows[group.y];
  let flags = row.w;
  // The lane has ended: its rows are computed along with the others, but nothing acts or counts any more.
  if ((flags & 0x80000000u) != 0u) {
    return;
  }
  let lane = flags & 0xffffu;
  let choice = (((flags >> 16u) & 0xffu) * call.rows + group.y) * (p.words + 3u * p.sources);
  let first = program[p.segments + group.x * 2u];
  let end = program[p.segments + group.x * 2u + 1u];
  for (var index = first; index < end; index += 1u) {
    let op = load_op(index);
    let at = group.y * p.stride + p.column + op.start;
    if (op.kind == SAVE) {
      let keep = choice + p.words + op.source * 3u;
      for (var target_slot = 1u; target_slot < 3u; target_slot += 1u) {
        let slot = chosen[keep + target_slot];
        if (slot != 0u) {
          for (var i = local; i < op.width; i += WG) {
            saved[op.source_base + (slot - 1u) * op.width + i] = x[at + i];
          }
        }
      }
      continue;
    }
    let selected = ((chosen[choice + (op.node >> 5u)] >> (op.node & 31u)) & 1u) != 0u;
    if (op.kind >= DOT) {
      let sums = products(op, at, local);
      if (local == 0u) {
        var value = sums.x;
        if (op.kind == COSINE) {
          let lengths = sqrt(sums.y) * sqrt(sums.z);
          value = 0.0;
          if (lengths > 0.0) {
            value = sums.x / lengths;
          }
        } else if (op.kind == NORM) {
          value = sqrt(sums.y);
        }
        let reading = p.readings + (group.y * p.reads + op.column) * 2u;
        atomicStore(&state[reading], select(0u, 1u, selected));
        atomicStore(&state[reading + 1u], bitcast<u32>(value));
        if ((flags & 0x40000000u) != 0u) {
          let held = p.held + (row.y * p.reads + op.column) * 2u;
          atomicStore(&state[held], select(0u, 1u, selected));
          atomicStore(&state[held + 1u], bitcast<u32>(value));
        }
      }
      continue;
    }
    if (!selected) {
      continue;
    }
    var from_slot = 0u;
    if (op.source != NONE) {
      let slot = chosen[choice + p.words + op.source * 3u];
      if (slot == 0u) {
        continue;
      }
      from_slot = slot - 1u;
    }
    if (op.gate != NONE) {
      if (local == 0u) {
        open = gate_open(op, group.y, row.y);
      }
      if (workgroupUniformLoad(&open) == 0u) {
        continue;
      }
    }
    let s = data[p.strengths + lane * p.edits + op.column];
    if (op.kind == ADD) {
      for (var i = local; i < op.width; i += WG) {
        x[at + i] += s * vector_at(op, i, from_slot);
      }
    } else if (op.kind == SCALE) {
      for (var i = local; i < op.width; i += WG) {
        x[at + i] *= 1.0 + s * data[op.vector + i];
      }
    } else if (op.kind == SET) {
      for (var i = local; i < op.width; i += WG) {
        // At strength 1 the old value has no part in the result, not even as 0 times infinity.
        let v = vector_at(op, i, from_slot);
        x[at + i] = select((1.0 - s) * x[at + i] + s * v, v, s == 1.0);
      }
    } else {
      let dot = products(op, at, local).x;
      var shift = -s * dot;
      if (op.kind != ABLATE) {
        shift = s - dot;
      }
      if (op.kind != CAP || dot > s) {
        for (var i = local; i < op.width; i += WG) {
          x[at + i] += shift * data[op.vector + i];
        }
      }
    }
    // A cap that had nothing to cap counts too: the edit matched the row.
    // Bit 29: the row is computed here for others' sake and comes again in a call that counts it.
    if (local == 0u && (flags & 0x20000000u) == 0u) {
      atomicAdd(&state[lane * p.edits + op.column], 1u);
    }
    // The next operation may span more columns than this invocation wrote.
    storageBarrier();
  }
}
