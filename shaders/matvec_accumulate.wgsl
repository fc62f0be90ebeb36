  // Sums over groups start, start + step, ... of NR weight rows from row `base`, for M rows of x from row `first_row`.
//#for i NR
//#for m M
  var acc_$(i)_$(m) = 0.0;
//#end
  let row_$(i) = min(base + $(i)u, p.count - 1u) * p.octets;
//#end
  let groups = p.octets / 4u;
  // On software adapters the count comes from a uniform, so that the driver does not write the loop out: it compiles for
  // seconds and gains nothing. On GPUs it is a constant.
  let group_octets = select(4u, p.four, SOFTWARE);
  for (var g = start; g < groups; g += step) {
//#for i NR
//#for m M
    var part_$(i)_$(m) = 0.0;
//#end
//#end
    for (var o = g * 4u; o < g * 4u + group_octets; o += 1u) {
//#for m M
      let lo_$(m) = vec4<F>(x[(first_row + $(m)u) * p.x_quads + o * 2u]);
      let hi_$(m) = vec4<F>(x[(first_row + $(m)u) * p.x_quads + o * 2u + 1u]);
//#end
//#for i NR
      let w_$(i) = octet(row_$(i) + o);
//#for m M
      part_$(i)_$(m) += f32(dot(w_$(i).lo, lo_$(m)) + dot(w_$(i).hi, hi_$(m)));
//#end
//#end
    }
//#for i NR
    let scale_$(i) = scale_of((row_$(i) >> 2u) + g);
//#for m M
    acc_$(i)_$(m) += scale_$(i) * part_$(i)_$(m);
//#end
//#end
  }
