// Fragment of sample: what top-k and top-p keep, and the best of it with noise. Temperature 0 keeps the greedy token.
  if (params.temperature > 0.0) {
    let inverse_temperature = 1.0 / max(params.temperature, 1.0e-10);
    var least = 0u;
    // One call in a loop, because drivers inline each call.
    for (var stage = 0u; stage < 2u; stage++) {
      let by_mass = stage == 1u;
      if (select(params.topK > 0u && params.topK < params.vocab, params.topP < 1.0, by_mass)) {
        let wanted = select(f32(params.topK), params.topP, by_mass);
        least = max(least, find_threshold(tid, base, params.vocab, least, by_mass, wanted, scan.largest, inverse_temperature));
      }
    }
    let stream = hash_position(seeds[r], row.z);
    var best = LOWEST;
    var best_token = NO_TOKEN;
    for (var quad = tid; quad * 4u < params.vocab; quad += 256u) {
      let values = logits[base + quad];
      for (var c = 0u; c < min(4u, params.vocab - quad * 4u); c++) {
        let id = quad * 4u + c;
        if (sort_key(values[c]) >= least) {
          let score = scaled(values[c], scan.largest, inverse_temperature) + gumbel(hash_token(stream, id));
          if (score > best) {
            best = score;
            best_token = id;
          }
        }
      }
    }
    token = reduce_best(tid, best, best_token).y;
  }
